"""Arms behind ros2_control's controllers."""
