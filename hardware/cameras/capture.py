"""A camera's own thread: always the newest frame, with its true time.

What is lost is counted, and a camera that is unplugged is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.errors import RobotStackError
from robot_stack.hardware.cameras.image_messages import opencv
from robot_stack.hardware.cameras.sources import FrameSource


@dataclass
class CaptureCounts:
    """What happened to a camera's frames so far."""

    captured: int = 0
    """Frames that the camera handed over."""

    delivered: int = 0
    """Of which so many were taken."""

    overtaken: int = 0
    """Of which so many were replaced by a newer one before anybody took them."""

    missing: int = 0
    """Frames that the camera should have handed over by its rate and did not."""

    unplugged: int = 0
    """Times that it gave no frames any more."""

    problem: str = ""
    """What is wrong with it now; empty when nothing is."""


class Capture:
    """Reads a source for as long as it lives.

    Args:
        source: gives the frames; belongs to the thread.
        clock: whose time the stamps are.
        fps: at which frames are expected [Hz].
        arrived: told of each frame, in the camera's thread: it may take what :meth:`take` gives, or wake somebody up.
        latency_s: from the exposure to the driver handing the frame over; taken off each stamp [s].
        retry_s: how often a camera that is not there is looked for [s of real time].
    """

    def __init__(
        self,
        source: FrameSource,
        clock: Clock,
        fps: float,
        arrived: Callable[[], None] = lambda: None,
        *,
        latency_s: float = 0.0,
        retry_s: float = 1.0,
    ) -> None:
        self._source, self._clock, self._period_s = source, clock, 1.0 / fps
        self._arrived, self._latency_s, self._retry_s = arrived, latency_s, retry_s
        self._lock = threading.Lock()
        self._frame: tuple[np.ndarray, float] | None = None
        self._counts = CaptureCounts()
        self._last_s: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="camera", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> CaptureCounts:
        """As they are now."""
        with self._lock:
            return replace(self._counts)

    def take(self) -> tuple[np.ndarray, float] | None:
        """The newest frame as the source gave it, and its stamp [s]; ``None`` if it was taken already."""
        with self._lock:
            frame, self._frame = self._frame, None
            self._counts.delivered += frame is not None
            return frame

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread and let go of the camera; a driver that hangs is left behind after ``timeout_s``."""
        self._over.set()
        self._thread.join(timeout_s)

    def _live(self) -> None:
        while not self._over.is_set():
            try:
                self._source.open()
                while not self._over.is_set():
                    self._keep(*self._source.read())
            except RobotStackError as error:
                with self._lock:
                    self._counts.unplugged += self._last_s is not None
                    self._counts.problem = str(error).replace("\n", " ")
                    self._last_s = None
            finally:
                self._source.close()
            self._over.wait(self._retry_s)

    def _keep(self, frame: np.ndarray, handed_over_s: float) -> None:
        with self._lock:
            counts = self._counts
            counts.captured += 1
            counts.problem = ""
            counts.overtaken += self._frame is not None
            if self._last_s is not None:
                counts.missing += max(0, round((handed_over_s - self._last_s) / self._period_s) - 1)
            self._last_s = handed_over_s
            self._frame = frame, handed_over_s - self._latency_s
        self._arrived()


def fitted(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame as policies want it: RGB of a size, cut to its ratio around the middle and scaled.

    Args:
        frame: BGR or grey, uint8 of shape ``(h, w, 3)`` or ``(h, w)``.
        width: wanted [pixel].
        height: wanted [pixel].

    Returns:
        RGB, uint8 of shape ``(height, width, 3)``.
    """
    cv2 = opencv("cameras")
    rgb = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB if frame.ndim == 2 else cv2.COLOR_BGR2RGB)
    have_height, have_width = rgb.shape[:2]
    if (have_width, have_height) == (width, height):
        return rgb
    cut_width = min(have_width, max(1, round(have_height * width / height)))
    cut_height = min(have_height, max(1, round(have_width * height / width)))
    left, top = (have_width - cut_width) // 2, (have_height - cut_height) // 2
    cut = rgb[top : top + cut_height, left : left + cut_width]
    smaller = cut_width > width
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
