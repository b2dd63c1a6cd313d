"""Answers whose size says nothing: padded to a fixed length."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
from starlette.responses import Response

JSON_BYTES = 16384
"""Of every JSON answer; a longer one is padded to the next multiple."""

FRAME_BYTES = 65536
"""Of every camera picture."""


class PaddedJson(Response):
    """JSON followed by spaces, which JSON allows, up to a fixed length."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The padded text."""
        data = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        return data + b" " * (-len(data) % JSON_BYTES)


def padded_jpeg(image: np.ndarray) -> bytes:
    """An image as JPEG of exactly :data:`FRAME_BYTES`.

    Decoders stop at the end marker, so zeros may follow. The quality is lowered until the picture fits, the size if
    that is not enough.

    Args:
        image: RGB, uint8 of shape ``(height, width, 3)``.
    """
    picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    while True:
        for quality in (85, 70, 50, 30):
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(data) <= FRAME_BYTES:
                return data.tobytes() + bytes(FRAME_BYTES - len(data))
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
