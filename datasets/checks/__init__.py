"""What a dataset is checked for, one file for each part of it."""
