"""Pictures for the page: contact sheets as JPEG, and short films as H.264, which every browser plays."""

from __future__ import annotations

import base64
import io
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from robot_stack.core.errors import VideoError

SHEET_FRAMES = 8
_SHEET_HEIGHT = 110
_FILM_HEIGHT = 240
_QUALITY = 80
_GAP = 2


def sheet_rows(length: int, count: int = SHEET_FRAMES) -> np.ndarray:
    """Frames that a contact sheet shows: evenly spread, first and last among them, shape ``(<= count,)``."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))


def contact_sheet(frames: np.ndarray) -> str:
    """Frames side by side as a ``data:`` address of a JPEG picture.

    Args:
        frames: uint8 RGB of shape ``(n, height, width, channels)``.
    """
    small = [np.pad(_resized(frame, _SHEET_HEIGHT), ((0, 0), (0, _GAP), (0, 0))) for frame in frames]
    done, buffer = cv2.imencode(".jpg", np.hstack(small)[:, :-_GAP][:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise VideoError("a contact sheet could not be encoded", got=frames.shape)
    return _address("image/jpeg", buffer.tobytes())


def film(frames: np.ndarray, fps: float) -> str:
    """Frames as a ``data:`` address of an H.264 film.

    Args:
        frames: uint8 RGB of shape ``(n, height, width, channels)``.
        fps: frames each second [Hz].

    Raises:
        VideoError: if this installation has no H.264 encoder.
    """
    buffer = io.BytesIO()
    rate = max(1, round(fps))
    try:
        with av.open(buffer, "w", format="mp4") as container:
            stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "27", "preset": "veryfast"})
            first = _even(_resized(frames[0], _FILM_HEIGHT))
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            for frame in frames:
                picture = np.ascontiguousarray(_even(_resized(frame, _FILM_HEIGHT)))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            "a film for the page could not be encoded", got=error, remedy="leave films out with --films 0"
        ) from error
    return _address("video/mp4", buffer.getvalue())


def _resized(frame: np.ndarray, height: int) -> np.ndarray:
    if frame.shape[2] == 1:
        frame = np.repeat(frame, 3, axis=2)
    frame = frame[:, :, :3]
    rows, columns = frame.shape[:2]
    size = (max(2, round(columns * height / rows)), height)
    shrinks = rows > height
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _even(frame: np.ndarray) -> np.ndarray:
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
