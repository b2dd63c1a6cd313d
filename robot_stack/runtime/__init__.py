"""The control loop and everything that runs it, here or in other processes."""
