"""ALOHA, two ViperX-300 behind ros2_control."""

from __future__ import annotations

from robot_stack.deploy.robots.arms import arm_deployment
from robot_stack.sim.robots.aloha import ALOHA

DEPLOYMENT = arm_deployment(ALOHA, "aloha")
"""Controllers and names of Interbotix' description unless a configuration says otherwise."""
