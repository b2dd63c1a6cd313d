"""A policy drives a robot.

``ros2 launch robot_stack deploy.launch.py --show-args`` lists what it can be told.
"""

from __future__ import annotations

from typing import Any

from robot_stack.deploy.launch_description import launch_description


def generate_launch_description() -> Any:
    """What ``ros2 launch`` runs; the plan is made by ``robot_stack.deploy.plan``."""
    return launch_description("deploy")
