"""Images to ROS messages and back: RGB arrays here, ``sensor_msgs/Image`` and ``CompressedImage`` there.

Works on any object with the messages' fields, so importing it needs no ROS.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np

from robot_stack.core.errors import MissingExtraError, RobotStackError

CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
"""Understood encodings, and where red, green and blue are in a pixel."""

_SIZES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


class ImageMessageError(RobotStackError):
    """A message that holds no image, or one that is not understood."""


def rgb_of(message: Any) -> np.ndarray:
    """The picture in an ``Image`` message, whatever its encoding and row padding.

    Returns:
        RGB, uint8 of shape ``(height, width, 3)``, contiguous, read-only where the message's own bytes are shared.

    Raises:
        ImageMessageError: if the encoding is not understood or the sizes contradict the data.
    """
    size = _SIZES.get(message.encoding)
    if size is None:
        raise ImageMessageError(
            "an image has an encoding that is not understood", got=message.encoding, expected=", ".join(CHANNELS)
        )
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height < 1 or width < 1 or step < width * size or len(message.data) < height * step:
        raise ImageMessageError(
            "an image's sizes contradict its data",
            got=f"{width}x{height}, step {step}, {len(message.data)} bytes of {message.encoding}",
        )
    flat = np.frombuffer(message.data, np.uint8, count=height * step)
    pixels = flat.reshape(height, step)[:, : width * size].reshape(height, width, size)
    if message.encoding == "rgb8":
        return np.ascontiguousarray(pixels)
    return np.ascontiguousarray(pixels[:, :, CHANNELS[message.encoding]])


def rgb_of_compressed(message: Any) -> np.ndarray:
    """The picture in a ``CompressedImage`` message (JPEG, PNG, whatever OpenCV reads).

    Returns:
        RGB, uint8 of shape ``(height, width, 3)``.

    Raises:
        ImageMessageError: if it cannot be decoded.
        MissingExtraError: if OpenCV is not installed.
    """
    cv2 = opencv("compressed images")
    data = np.frombuffer(message.data, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise ImageMessageError("a compressed image cannot be decoded", got=f"{data.size} bytes of {message.format!r}")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def fill_image(message: Any, rgb: np.ndarray, encoding: str = "rgb8") -> None:
    """Write a picture into an ``Image`` message.

    Args:
        message: its header is left alone.
        rgb: uint8 of shape ``(height, width, 3)``.
        encoding: ``rgb8`` or ``bgr8``.
    """
    pixels = np.ascontiguousarray(rgb[:, :, list(CHANNELS[encoding])] if encoding != "rgb8" else rgb)
    message.height, message.width, message.encoding = rgb.shape[0], rgb.shape[1], encoding
    message.step, message.is_bigendian = rgb.shape[1] * 3, 0
    message.data = array.array("B", pixels.tobytes())  # anything else is checked byte for byte in Python


def fill_compressed(message: Any, rgb: np.ndarray, kind: str, quality: int = 90) -> None:
    """Write a picture into a ``CompressedImage`` message.

    Args:
        message: its header is left alone.
        rgb: uint8 of shape ``(height, width, 3)``.
        kind: ``jpeg`` or ``png``.
        quality: of JPEG, 0 to 100.

    Raises:
        ImageMessageError: if it cannot be encoded.
        MissingExtraError: if OpenCV is not installed.
    """
    cv2 = opencv("compressed images")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(f".{kind}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageMessageError("an image cannot be compressed", got=f"{rgb.shape} as {kind}")
    message.format = kind
    message.data = array.array("B", data.tobytes())


def opencv(feature: str) -> Any:
    """OpenCV, imported when it is needed.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(feature, extra="ros", package="cv2") from error
    return cv2
