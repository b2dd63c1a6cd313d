"""Many simulations of one robot and task at once, stepped by MuJoCo on a pool of threads."""
