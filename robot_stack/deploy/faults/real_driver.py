"""A stand-in for a policy in a process of its own: swings the first joint, four actions a chunk.

python -m robot_stack.deploy.faults.real_driver --ros-args -r __ns:=/panda
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment

STEPS = 4
"""Actions in a chunk."""

SWING_RAD, HZ = 0.4, 0.4
"""How far the first joint swings about where it was at first [rad], and how often [1/s]."""


def main() -> None:
    """Answer every observation until the process is ended."""
    import rclpy
    from builtin_interfaces.msg import Duration
    from rclpy.executors import ExternalShutdownException
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from robot_stack.hardware.ros.qos import latched, newest, reliable

    rclpy.init(args=sys.argv)
    node = rclpy.create_node("driver")
    publisher = node.create_publisher(JointTrajectory, "action_chunk", reliable(1))
    known: list[Embodiment] = []
    middle: list[np.ndarray] = []

    def meet(message: Any) -> None:
        known[:] = [from_plain(Embodiment, json.loads(message.data))]

    def answer(message: Any) -> None:
        if not known:
            return
        robot = known[0]
        seen = np.array(message.position)[robot.state_slices["joint_position"]]
        if not middle:
            middle.append(seen)
        time_s = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        points = []
        for step in range(STEPS):
            due_s = step / robot.control_hz
            action = np.concatenate([middle[0], np.full(robot.action_size - len(seen), 0.5)])
            action[0] += SWING_RAD * np.sin(2.0 * np.pi * HZ * (time_s + due_s))
            due = Duration(sec=0, nanosec=round(1e9 * due_s))
            points.append(JointTrajectoryPoint(positions=action.tolist(), time_from_start=due))
        chunk = JointTrajectory(joint_names=list(robot.action_names), points=points)
        chunk.header.stamp, chunk.header.frame_id = message.header.stamp, robot.fingerprint()
        publisher.publish(chunk)

    node.create_subscription(String, "embodiment", meet, latched())
    node.create_subscription(JointState, "observation", answer, newest())
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
