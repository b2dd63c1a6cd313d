"""Plans as ``trajectory_msgs/JointTrajectory``: what a policy, or a replay, tells the robot node."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.ros_node import set_stamp
from robot_stack.runtime.timed_plan import TimedPlan

TOPIC = "action_chunk"
"""Relative to the robot's namespace."""


def chunk_message(
    plan: TimedPlan, observation_ns: int, robot: Embodiment, fingerprint: str, offsets_s: np.ndarray | None = None
) -> Any:
    """A plan, stamped with the observation that it was decided on.

    Args:
        plan: what to do.
        observation_ns: stamp of its observation as it came, to the nanosecond.
        robot: whose action.
        fingerprint: of the robot's embodiment.
        offsets_s: when each action is due after the observation, for actions that are not one period apart,
            shape ``(steps,)`` [s].
    """
    trajectory, point, duration = _messages()
    message = trajectory(joint_names=list(robot.action_names))
    set_stamp(message.header, observation_ns)
    message.header.frame_id = fingerprint
    if offsets_s is None:
        offsets_s = plan.start_s - plan.observation_s + plan.period_s * np.arange(len(plan))
    for action, offset_s in zip(plan.actions, offsets_s, strict=True):
        due_ns = max(0, round(float(offset_s) * 1e9))
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
