"""``python -m robot_stack.deploy.policy_process``: the policy node.

Subscribes to what the robot and its cameras see, publishes ``action_chunk``; see docs/policy_node.md.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.chunk_message import TOPIC, chunk_message
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_core import PolicyCore, Reports
from robot_stack.deploy.ros_node import camera_topic, diagnostic, latched, newest, reliable, run, stamp_ns
from robot_stack.hardware.cameras.image_messages import rgb_of, rgb_of_compressed
from robot_stack.hardware.ros.steady_timer import steady_timer
from robot_stack.runtime.timed_plan import TimedPlan


class PolicyNode:
    """Messages to and from a :class:`PolicyCore`.

    Args:
        node: of rclpy.

    Raises:
        ConfigError: if a parameter is out of range.
    """

    def __init__(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from trajectory_msgs.msg import JointTrajectory

        self.node = node
        config = declare(node, PolicyNodeConfig, changeable=("seed", "instruction"))
        log = node.get_logger()
        self.core = PolicyCore(config, Reports(self._publish, log.info, log.warning))
        self._chunks = node.create_publisher(JointTrajectory, TOPIC, reliable(1))
        self._status = node.create_publisher(DiagnosticStatus, "~/status", reliable(1))
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", reliable(10))
        self._cameras: tuple[str, ...] = ()
        node.create_subscription(String, "embodiment", self._on_embodiment, latched())
        node.create_subscription(String, "state", lambda message: self.core.state(message.data), latched())
        node.create_subscription(JointState, "observation", self._on_observation, newest())
        steady_timer(node, 0.1, self._tend)
        steady_timer(node, 0.5, self._tell)
        node.add_on_set_parameters_callback(self._on_parameters)

    def close(self) -> None:
        """End the policy."""
        self.core.close()

    def _on_embodiment(self, message: Any) -> None:
        self.core.meet(from_plain(Embodiment, json.loads(message.data), where="topic 'embodiment'"))

    def _on_observation(self, message: Any) -> None:
        self.core.observe(stamp_ns(message.header), np.array(message.position))

    def _publish(self, plan: TimedPlan, observation_ns: int) -> None:
        assert self.core.robot is not None
        self._chunks.publish(chunk_message(plan, observation_ns, self.core.robot, self.core.fingerprint))

    def _tend(self) -> None:
        if self.core.failure is not None:
            raise self.core.failure
        if self.core.frames.names != self._cameras:
            self._subscribe(self.core.frames.names)
        self.core.tend()

    def _subscribe(self, cameras: tuple[str, ...]) -> None:
        from sensor_msgs.msg import CompressedImage, Image

        self._cameras = cameras
        compressed = self.core.config.image_transport == "compressed"
        kind, decode = (CompressedImage, rgb_of_compressed) if compressed else (Image, rgb_of)
        for name in cameras:

            def arrived(message: Any, name: str = name) -> None:
                self.core.frames.add(name, stamp_ns(message.header) * 1e-9, lambda: decode(message))

            self.node.create_subscription(kind, camera_topic(name, compressed), arrived, newest(2))

    def _on_parameters(self, parameters: list[Any]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        for parameter in parameters:
            if parameter.name == "seed":
                self.core.seed = int(parameter.value)
            elif parameter.name == "instruction":
                self.core.instruction = str(parameter.value)
        return SetParametersResult(successful=True)

    def _tell(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        level, text, values = self.core.describe()
        status = diagnostic(self.node.get_fully_qualified_name(), level, text, values)
        self._status.publish(status)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.node.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> int:
    """Run the node until it is told to end."""
    return run("policy", PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
