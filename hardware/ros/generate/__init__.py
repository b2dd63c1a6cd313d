"""ROS 2 messages that no wheel carries, generated and compiled at first use: see :mod:`.messages`."""
