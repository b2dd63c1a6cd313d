"""ROS 2: what the nodes of a deployment are built from. Nothing here imports rclpy when it is imported."""
