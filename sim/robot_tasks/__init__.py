"""Tasks of the robots we ship, written once for one simulation and for batches."""
