"""The command line: the one place where names become objects."""
