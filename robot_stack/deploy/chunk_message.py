"""Plans as ``trajectory_msgs/JointTrajectory``: what a policy, or a replay, tells the robot node."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.ros_node import set_stamp
from robot_stack.runtime.timed_plan import TimedPlan

TOPIC = "action_chunk"
"""Relative to the robot's namespace."""


def chunk_message(plan: TimedPlan, observation_ns: int, robot: Embodiment, fingerprint: str) -> Any:
    """A plan, stamped with the observation that it was decided on.

    Args:
        plan: what to do.
        observation_ns: stamp of its observation as it came, to the nanosecond.
        robot: whose action.
        fingerprint: of the robot's embodiment.
    """
    trajectory, point, duration = _messages()
    message = trajectory(joint_names=list(robot.action_names))
    set_stamp(message.header, observation_ns)
    message.header.frame_id = fingerprint
    offset_s = plan.start_s - plan.observation_s
    for number, action in enumerate(plan.actions):
        due_ns = max(0, round((offset_s + number * plan.period_s) * 1e9))
        seconds, nanoseconds = divmod(due_ns, 1_000_000_000)
        message.points.append(
            point(positions=action.tolist(), time_from_start=duration(sec=seconds, nanosec=nanoseconds))
        )
    return message


@functools.cache
def _messages() -> tuple[Any, Any, Any]:
    trajectory = importlib.import_module("trajectory_msgs.msg")
    duration = importlib.import_module("builtin_interfaces.msg")
    return trajectory.JointTrajectory, trajectory.JointTrajectoryPoint, duration.Duration
