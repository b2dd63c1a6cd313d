"""``python -m robot_stack.deploy.recorder_process``: the recorder node; see docs/policy_node.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import RobotStackError
from robot_stack.deploy.episode_assembler import EpisodeAssembler, Verdict
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.recorder_config import RecorderConfig
from robot_stack.deploy.recorder_core import RecorderCore
from robot_stack.deploy.ros_node import camera_topic, diagnostic, latched, newest, reliable, run, stamp_ns
from robot_stack.hardware.cameras.image_messages import rgb_of, rgb_of_compressed
from robot_stack.hardware.ros.steady_timer import steady_timer

DEPTH = 500
"""Messages of a topic that may wait while an episode is committed: ten seconds at 50 Hz."""


class RecorderNode:
    """Messages to a :class:`RecorderCore`.

    Args:
        node: of rclpy.

    Raises:
        ConfigError: if a parameter is out of range.
    """

    def __init__(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from std_srvs.srv import Trigger

        self.node = node
        self.core = RecorderCore(declare(node, RecorderConfig), node.get_logger().info)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", reliable(10))
        self._subscribed = False
        node.create_subscription(String, "embodiment", self._on_embodiment, latched())
        node.create_subscription(String, "state", lambda message: self.core.state(message.data), latched(20))
        node.create_subscription(DiagnosticStatus, "interventions", self._on_interventions, reliable(DEPTH))
        node.create_subscription(JointState, "score", self._on_score, newest(DEPTH))
        for topic, put in (
            ("observation", EpisodeAssembler.observed),
            ("asked", EpisodeAssembler.asked),
            ("sent", EpisodeAssembler.sent),
        ):
            node.create_subscription(JointState, topic, self._putting(put), reliable(DEPTH))
        core = self.core
        for name, work in (
            ("begin_episode", core.begin),
            ("end_episode", core.end),
            ("discard_episode", core.discard),
            ("mark_success", lambda: core.judge(True)),
            ("mark_failure", lambda: core.judge(False)),
        ):
            node.create_service(Trigger, f"~/{name}", _serving(work))
        steady_timer(node, 0.05, core.tend)
        steady_timer(node, 1.0, self._tell)

    def close(self) -> None:
        """Commit what was recorded."""
        self.core.close()

    def _on_embodiment(self, message: Any) -> None:
        self.core.meet(from_plain(Embodiment, json.loads(message.data), where="topic 'embodiment'"))
        if not self._subscribed:
            self._subscribed = True
            self._subscribe()

    def _subscribe(self) -> None:
        from sensor_msgs.msg import CompressedImage, Image

        assert self.core.assembler is not None
        compressed = self.core.config.image_transport == "compressed"
        kind, decode = (CompressedImage, rgb_of_compressed) if compressed else (Image, rgb_of)
        frames = self.core.assembler.frames
        for name in frames.names:

            def arrived(message: Any, name: str = name) -> None:
                frames.add(name, stamp_ns(message.header) * 1e-9, lambda: decode(message))

            self.node.create_subscription(kind, camera_topic(name, compressed), arrived, newest(10))

    def _putting(self, put: Callable[[EpisodeAssembler, int, np.ndarray], None]) -> Callable[[Any], None]:
        def arrived(message: Any) -> None:
            if self.core.assembler is not None:
                put(self.core.assembler, stamp_ns(message.header), np.array(message.position))

        return arrived

    def _on_score(self, message: Any) -> None:
        if self.core.assembler is not None:
            said = dict(zip(message.name, message.position, strict=False))
            verdict = Verdict(said.get("reward", 0.0), said.get("success", 0.0) > 0.5, said.get("failed", 0.0) > 0.5)
            self.core.assembler.judged(stamp_ns(message.header), verdict)

    def _on_interventions(self, message: Any) -> None:
        self.core.intervened(pair.key for pair in message.values if pair.key != "stamp_ns")

    def _tell(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        core = self.core
        values: dict[str, object] = {"episodes": core.episodes, "recording": core.recording}
        if core.assembler is not None:
            values |= vars(core.assembler.counts)
        text = core.problem or ("records" if core.recording else "waits")
        name = self.node.get_fully_qualified_name()
        array = DiagnosticArray(status=[diagnostic(name, 2 if core.problem else 0, text, values)])
        array.header.stamp = self.node.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _serving(work: Callable[[], str]) -> Callable[[Any, Any], Any]:
    def serve(request: Any, response: Any) -> Any:
        try:
            response.success, response.message = True, work()
        except RobotStackError as error:
            response.success, response.message = False, str(error)
        return response

    return serve


def main() -> int:
    """Run the node until it is told to end."""
    return run("recorder", RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
