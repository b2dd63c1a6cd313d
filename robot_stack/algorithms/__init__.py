"""What learns: one algorithm a file."""
