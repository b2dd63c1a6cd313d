"""Where frames come from: a camera that OpenCV opens, or a video file in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.errors import RobotStackError
from robot_stack.hardware.cameras.image_messages import opencv


class CameraError(RobotStackError):
    """A camera is not there, is somebody else's, or gives no frames."""


class FrameSource(Protocol):
    """Gives one frame after the other; used by one thread."""

    def open(self) -> None:
        """Begin, or begin again after :meth:`close`.

        Raises:
            CameraError: if it cannot.
        """
        ...

    def read(self) -> tuple[np.ndarray, float]:
        """Wait for the next frame.

        Returns:
            BGR or grey, uint8 of shape ``(height, width, 3)``, and when it was there, on the source's clock [s].

        Raises:
            CameraError: if there is none any more.
        """
        ...

    def close(self) -> None:
        """Let go of the camera; idempotent."""
        ...


class OpenCvCamera:
    """A camera by number or path.

    Args:
        device: ``0``, ``/dev/video2``, or what else OpenCV opens.
        clock: stamps the frames, the moment that the driver hands them over.
        width: asked of the camera [pixel]; it may give another.
        height: likewise.
        fps: likewise [Hz].
    """

    def __init__(self, device: str, clock: Clock, *, width: int, height: int, fps: float) -> None:
        self.device, self._clock = device, clock
        self._wanted = width, height, fps
        self._cv2 = opencv("cameras")
        self._capture: Any = None

    def open(self) -> None:
        """Open the device and ask for size and rate."""
        cv2 = self._cv2
        number = int(self.device) if self.device.isdigit() else self.device
        path = Path(f"/dev/video{number}" if isinstance(number, int) else number)
        if str(path).startswith("/dev/") and not path.exists():
            raise CameraError(
                "there is no such camera", where=path, remedy="list the cameras: ls -l /dev/video* /dev/v4l/by-id"
            )
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self.close()
            raise CameraError(
                "a camera cannot be opened",
                where=self.device,
                remedy="see that no other program uses it and that you are in the group 'video'",
            )
        for key, value in zip(
            (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS), self._wanted, strict=True
        ):
            self._capture.set(key, value)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # older frames would be handed over as new ones

    def read(self) -> tuple[np.ndarray, float]:
        """The next frame; the stamp is taken before it is decoded."""
        if self._capture is None or not self._capture.grab():
            raise CameraError("a camera gives no frames any more", where=self.device)
        time_s = self._clock.now()
        done, frame = self._capture.retrieve()
        if not done or frame is None:
            raise CameraError("a frame of a camera cannot be decoded", where=self.device)
        return frame, time_s

    def close(self) -> None:
        """Release the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class VideoFile:
    """A video file in the place of a camera, played at a rate, again and again: for tests and dry runs.

    Args:
        path: of a file that OpenCV reads.
        clock: paces and stamps the frames.
        fps: rate [Hz]; 0 takes the file's own.
        again: whether it begins anew at its end; otherwise it is unplugged then.
    """

    def __init__(self, path: str | Path, clock: Clock, fps: float = 0.0, *, again: bool = True) -> None:
        self.path, self._clock, self._fps, self._again = Path(path), clock, fps, again
        self._cv2 = opencv("video files")
        self._capture: Any = None
        self._due_s = 0.0
        self._period_s = 0.0

    def open(self) -> None:
        """Begin at the first frame."""
        self.close()
        capture = self._cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise CameraError("a video file cannot be read", where=self.path)
        fps = self._fps or capture.get(self._cv2.CAP_PROP_FPS) or 30.0
        self._capture, self._period_s, self._due_s = capture, 1.0 / fps, self._clock.now()

    def read(self) -> tuple[np.ndarray, float]:
        """The next frame, at its time; frames whose time has passed are skipped."""
        if self._capture is None:
            raise CameraError("a video file is not open", where=self.path)
        self._clock.sleep_until(self._due_s)
        time_s = self._clock.now()
        while self._due_s + self._period_s <= time_s:
            self._due_s += self._period_s
            self._advance(self._capture.grab)
        self._due_s += self._period_s
        return self._advance(self._capture.read)[1], time_s

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _advance(self, step: Callable[[], Any]) -> Any:
        result = step()
        if (result if isinstance(result, bool) else result[0]) is True:
            return result
        if not self._again:
            raise CameraError("a video file is over", where=self.path)
        self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
        result = step()
        if (result if isinstance(result, bool) else result[0]) is not True:
            raise CameraError("a video file holds no frame", where=self.path)
        return result
