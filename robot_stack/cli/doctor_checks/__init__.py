"""One file for each thing that `robot-stack doctor` looks at."""
