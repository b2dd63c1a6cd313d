"""Franka Emika Panda behind ros2_control."""

from __future__ import annotations

from robot_stack.deploy.robots.arms import arm_deployment
from robot_stack.sim.robots.panda import PANDA

DEPLOYMENT = arm_deployment(PANDA, "panda")
"""Controllers and names of franka_ros2 unless a configuration says otherwise."""
