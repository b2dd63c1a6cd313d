"""Robots we ship models of, each a :class:`~robot_stack.sim.robots.spec.RobotSpec` beside its MJCF."""
