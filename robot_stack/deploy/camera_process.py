"""``python -m robot_stack.deploy.camera_process``: a camera node. One process a camera; see docs/policy_node.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.deploy.camera_config import CameraNodeConfig
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.ros_node import camera_topic, diagnostic, newest, reliable, run, set_stamp
from robot_stack.hardware.cameras.capture import Capture, fitted
from robot_stack.hardware.cameras.image_messages import fill_compressed, fill_image
from robot_stack.hardware.cameras.sources import FrameSource, OpenCvCamera, VideoFile
from robot_stack.hardware.ros.steady_timer import steady_timer


class CameraNode:
    """Publishes what a camera sees, stamped with the robot's time at which it saw it.

    Args:
        node: of rclpy.

    Raises:
        ConfigError: if a parameter is out of range.
        MissingExtraError: if OpenCV is not installed.
    """

    def __init__(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import CompressedImage, Image

        self.node = node
        self.config = config = declare(node, CameraNodeConfig)
        self._compressed = config.encoding in ("jpeg", "png")
        self._kind = CompressedImage if self._compressed else Image
        topic = camera_topic(config.camera, self._compressed)
        self._images = node.create_publisher(self._kind, topic, newest(2))
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", reliable(10))
        self._wake = node.create_guard_condition(self._publish)
        clock = ScaledClock(config.clock_speed)
        self.capture = Capture(
            source_of(config, clock),
            clock,
            config.fps,
            self._wake.trigger,
            latency_s=config.latency_s,
            retry_s=config.retry_s,
        )
        self._told = ""
        steady_timer(node, 1.0, self._tell)

    def close(self) -> None:
        """Let go of the camera."""
        self.capture.close()

    def _publish(self) -> None:
        taken = self.capture.take()
        if taken is None:
            return
        config, (frame, time_s) = self.config, taken
        message = self._kind()
        set_stamp(message.header, round(time_s * 1e9))
        message.header.frame_id = config.frame_id or config.camera
        rgb = fitted(frame, config.width, config.height)
        if self._compressed:
            fill_compressed(message, rgb, config.encoding, config.jpeg_quality)
        else:
            fill_image(message, rgb, config.encoding)
        self._images.publish(message)

    def _tell(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        counts = self.capture.counts
        if counts.problem != self._told:
            log = self.node.get_logger()
            log.warning(counts.problem) if counts.problem else log.info("the camera gives frames again")
            self._told = counts.problem
        name = self.node.get_fully_qualified_name()
        level, text = (2, counts.problem) if counts.problem else (0, "gives frames")
        array = DiagnosticArray(status=[diagnostic(name, level, text, vars(counts))])
        array.header.stamp = self.node.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def source_of(config: CameraNodeConfig, clock: ScaledClock) -> FrameSource:
    """What ``device`` names: a file that is there is a video, everything else a camera."""
    if Path(config.device).is_file():
        return VideoFile(config.device, clock, config.fps)
    return OpenCvCamera(config.device, clock, width=config.width, height=config.height, fps=config.fps)


def main() -> int:
    """Run the node until it is told to end."""
    return run("camera", CameraNode)


if __name__ == "__main__":
    sys.exit(main())
