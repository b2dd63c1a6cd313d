"""A driver's process for tests: answers every observation with a chunk that turns the first joint slowly on."""

from __future__ import annotations

import sys


def main() -> None:
    import json

    import rclpy
    from builtin_interfaces.msg import Duration
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from robot_stack.core.config_json import from_plain
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.hardware.ros.qos import latched, newest, reliable

    rclpy.init(args=sys.argv)
    node = rclpy.create_node("source")
    publisher = node.create_publisher(JointTrajectory, "action_chunk", reliable(1))
    known: list[Embodiment] = []

    def meet(message: String) -> None:
        known[:] = [from_plain(Embodiment, json.loads(message.data))]

    def answer(message: JointState) -> None:
        if not known:
            return
        robot = known[0]
        seen = list(message.position)[robot.state_slices["joint_position"]]
        points = []
        for step in range(16):
            action = [seen[0] + 0.004 * step, *seen[1:], *[0.5] * (robot.action_size - len(seen))]
            due = Duration(sec=0, nanosec=round(step * 1e9 / robot.control_hz))
            points.append(JointTrajectoryPoint(positions=action, time_from_start=due))
        chunk = JointTrajectory(joint_names=list(robot.action_names), points=points)
        chunk.header.stamp, chunk.header.frame_id = message.header.stamp, robot.fingerprint()
        publisher.publish(chunk)

    node.create_subscription(String, "embodiment", meet, latched())
    node.create_subscription(JointState, "observation", answer, newest())
    rclpy.spin(node)


if __name__ == "__main__":
    main()
