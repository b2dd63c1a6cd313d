"""What acts: policies, their bundles on disk, and the drivers that run them."""
