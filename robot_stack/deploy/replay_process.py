"""``python -m robot_stack.deploy.replay_process``: plays a recorded episode; see docs/policy_node.md."""

from __future__ import annotations

import json
import sys
from typing import Any

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.chunk_message import TOPIC, chunk_message
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.replay_config import ReplayConfig
from robot_stack.deploy.replay_core import Replay
from robot_stack.deploy.ros_node import latched, newest, reliable, run, stamp_ns


class ReplayNode:
    """Publishes an episode's actions each time the robot becomes ARMED.

    Args:
        node: of rclpy.

    Raises:
        ConfigError: if a parameter is out of range.
    """

    def __init__(self, node: Any) -> None:
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from trajectory_msgs.msg import JointTrajectory

        self.node = node
        self._config = declare(node, ReplayConfig)
        self._robot: Embodiment | None = None
        self._fingerprint, self._armed, self._told = "", False, False
        self.replay: Replay | None = None
        """``None`` until the robot is known."""
        self._chunks = node.create_publisher(JointTrajectory, TOPIC, reliable(1))
        node.create_subscription(String, "embodiment", self._on_embodiment, latched())
        node.create_subscription(String, "state", self._on_state, latched())
        node.create_subscription(JointState, "observation", self._on_observation, newest())

    def close(self) -> None:
        """There is nothing to let go of."""

    def _on_embodiment(self, message: Any) -> None:
        robot = from_plain(Embodiment, json.loads(message.data), where="topic 'embodiment'")
        if self._robot is not None and robot.fingerprint() == self._fingerprint:
            return
        self.replay = Replay(self._config, robot)
        self._robot, self._fingerprint = robot, robot.fingerprint()
        steps, lasts = len(self.replay.actions), self.replay.duration_s
        self.node.get_logger().info(f"plays {steps} actions in {lasts:.1f} s when the robot becomes ARMED")

    def _on_state(self, message: Any) -> None:
        armed = message.data == "ARMED"
        if armed and not self._armed and self.replay is not None:
            self.replay.begin()
            self._told = False
        self._armed = armed

    def _on_observation(self, message: Any) -> None:
        if not self._armed or self.replay is None or self._robot is None:
            return
        stamp = stamp_ns(message.header)
        due = self.replay.due(stamp * 1e-9)
        if due is not None:
            plan, offsets_s = due
            self._chunks.publish(chunk_message(plan, stamp, self._robot, self._fingerprint, offsets_s))
        elif self.replay.over and not self._told:
            self._told = True
            self.node.get_logger().info("the episode is over; the robot holds")


def main() -> int:
    """Run the node until it is told to end."""
    return run("replay", ReplayNode)


if __name__ == "__main__":
    sys.exit(main())
