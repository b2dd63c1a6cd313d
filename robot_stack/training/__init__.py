"""The one training loop, its run folders, checkpoints and logs."""
