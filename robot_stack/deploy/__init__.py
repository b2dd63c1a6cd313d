"""Deployment: what puts policies, robots and their electronics together into processes that talk through ROS 2."""
