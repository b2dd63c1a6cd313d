"""Images of a simulated scene, published as a camera's."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.joint_plant import JointPlant
from robot_stack.deploy.emulator_config import EmulatorConfig
from robot_stack.deploy.ros_node import camera_topic, newest, set_stamp

JPEG_QUALITY = 90
"""Of compressed images, 0 to 100."""


class EmulatedCameras:
    """Renders one camera at a time, so that the body never waits for more than one image.

    Args:
        node: of rclpy.
        plant: whose scene; rendered in the thread that calls :meth:`look`.
        config: which cameras, how large, how often.
    """

    def __init__(self, node: Any, plant: JointPlant, config: EmulatorConfig) -> None:
        from sensor_msgs.msg import CompressedImage, Image

        self._plant, self._config = plant, config
        self._image, self._compressed_image = Image, CompressedImage
        compressed = config.encoding == "jpeg"
        kind = CompressedImage if compressed else Image
        self._publishers = {
            name: node.create_publisher(kind, camera_topic(name, compressed), newest(2)) for name in config.cameras
        }
        self._due = dict.fromkeys(config.cameras, 0.0)

    def look(self, now_s: float) -> None:
        """Publish the image that is due the longest, if one is.

        Args:
            now_s: on the robot's clock [s].
        """
        late = [name for name, due in self._due.items() if due <= now_s]
        if not late:
            return
        name = min(late, key=self._due.__getitem__)
        period = 1.0 / self._config.image_hz
        due = self._due[name] + period
        self._due[name] = due if due > now_s else now_s + period  # frames that were missed are not made up for
        pixels = self._plant.render(name, self._config.image_height, self._config.image_width)
        self._publishers[name].publish(self._message(name, pixels, now_s))

    def _message(self, name: str, pixels: np.ndarray, stamp_s: float) -> Any:
        if self._config.encoding == "jpeg":
            import cv2

            options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
            message = self._compressed_image(format="jpeg", data=data.tobytes())
        else:
            height, width = pixels.shape[:2]
            message = self._image(height=height, width=width, encoding="rgb8", step=3 * width)
            message.data.frombytes(pixels.tobytes())
        message.header.frame_id = name
        set_stamp(message.header, round(stamp_s * 1e9))
        return message
