"""The parameters of a camera node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class CameraNodeConfig:
    """What ``python -m robot_stack.deploy.camera_process`` takes as ROS parameters; one process a camera."""

    camera: str = "front"
    """Its name in the embodiment; it publishes ``camera/<name>/image_raw``, or ``…/image_raw/compressed``."""

    device: str = "0"
    """A number or path that OpenCV opens (``0``, ``/dev/video2``), or a video file, played in a loop at its rate."""

    width: int = 640
    """Of the published images [pixel]; captured frames of another size are scaled, after a crop to the same ratio."""

    height: int = 480
    """Of the published images [pixel]."""

    fps: float = 30.0
    """Asked of the camera [Hz of robot time]."""

    encoding: Literal["rgb8", "bgr8", "jpeg", "png"] = "rgb8"
    """``jpeg`` and ``png`` publish CompressedImage, the others Image."""

    jpeg_quality: int = 90
    """0 to 100."""

    frame_id: str = ""
    """Of the message headers; empty for the camera's name."""

    latency_s: float = 0.0
    """From the exposure to the driver handing the frame over, taken off each stamp [s]."""

    retry_s: float = 1.0
    """How often an unplugged camera is looked for [s]."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1 or not (self.fps > 0 and self.retry_s > 0 and self.clock_speed > 0):
            raise ConfigError("sizes, rates and speeds of a camera are positive", got=self)
        if not 0 <= self.jpeg_quality <= 100 or self.latency_s < 0:
            raise ConfigError("a camera's quality or latency is out of range", got=self)
