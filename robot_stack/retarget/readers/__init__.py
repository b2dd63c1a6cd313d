"""Files of human, robot and object motion become :class:`~robot_stack.retarget.motion.Motion`."""
