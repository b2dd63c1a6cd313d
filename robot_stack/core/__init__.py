"""Contracts and numerics that everything else stands on. NumPy only: no torch, no simulator, no ROS."""
