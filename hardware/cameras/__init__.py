"""Cameras: capture through OpenCV with true times, and images as ROS messages."""
