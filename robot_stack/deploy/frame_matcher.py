"""Which camera frame belongs to which observation: the nearest by stamp, within a tolerance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.errors import RobotStackError, ShapeError, require_name
from robot_stack.core.fields import CameraSpec

Decode = Callable[[], np.ndarray]
"""Gives the picture of a frame, RGB uint8; called at most once, and only for frames that are wanted."""


@dataclass
class CameraCounts:
    """What came of one camera's frames."""

    frames: int = 0
    """That arrived."""

    out_of_order: int = 0
    """That came after a newer one and were left out."""

    broken: int = 0
    """That could not be decoded, or had another size than the embodiment's camera."""

    missed: int = 0
    """Observations for which no frame was near enough."""

    problem: str = ""
    """What was wrong with the last broken one."""


@dataclass(eq=False)
class _Frame:
    stamp_s: float
    decode: Decode | None
    image: np.ndarray | None = None


@dataclass(eq=False)
class _Camera:
    spec: CameraSpec
    frames: list[_Frame] = field(default_factory=list)
    counts: CameraCounts = field(default_factory=CameraCounts)


class FrameMatcher:
    """Keeps the last frames of several cameras.

    Args:
        cameras: those that are wanted.
        tolerance_s: a frame further than this from an observation's stamp is no picture of it [s].
        kept: frames kept of each camera.
    """

    def __init__(self, cameras: Iterable[CameraSpec], tolerance_s: float, kept: int = 32) -> None:
        self._cameras = {camera.name: _Camera(camera) for camera in cameras}
        self.tolerance_s, self._kept = tolerance_s, kept

    @property
    def names(self) -> tuple[str, ...]:
        """Of the cameras."""
        return tuple(self._cameras)

    @property
    def counts(self) -> dict[str, CameraCounts]:
        """By camera."""
        return {name: camera.counts for name, camera in self._cameras.items()}

    def add(self, name: str, stamp_s: float, decode: Decode) -> None:
        """A frame arrived.

        Args:
            name: of its camera.
            stamp_s: when it was exposed, on the robot's clock [s].
            decode: gives its picture.

        Raises:
            UnknownNameError: if the camera is not wanted.
        """
        camera = self._cameras[require_name("camera", name, self._cameras)]
        camera.counts.frames += 1
        if camera.frames and stamp_s <= camera.frames[-1].stamp_s:
            if camera.frames[-1].stamp_s - stamp_s < 1.0:
                camera.counts.out_of_order += 1
                return
            camera.frames.clear()  # the clock went back: the frames before are of another life
        camera.frames.append(_Frame(stamp_s, decode))
        del camera.frames[: -self._kept]

    def newest_s(self, name: str) -> float:
        """Stamp of a camera's last frame [s]; minus infinity when there is none."""
        frames = self._cameras[name].frames
        return frames[-1].stamp_s if frames else -np.inf

    def match(self, time_s: float) -> dict[str, np.ndarray] | None:
        """The pictures of one moment.

        Args:
            time_s: stamp of an observation, on the robot's clock [s].

        Returns:
            By camera RGB, uint8 of shape ``(height, width, 3)``; ``None`` if one has no frame near enough.
        """
        found = {name: self._nearest(camera, time_s) for name, camera in self._cameras.items()}
        if any(image is None for image in found.values()):
            return None
        return {name: image for name, image in found.items() if image is not None}

    def _nearest(self, camera: _Camera, time_s: float) -> np.ndarray | None:
        frames = camera.frames
        while True:
            at = bisect_left([frame.stamp_s for frame in frames], time_s)
            near = sorted(frames[max(0, at - 1) : at + 1], key=lambda frame: abs(frame.stamp_s - time_s))
            if not near or abs(near[0].stamp_s - time_s) > self.tolerance_s:
                camera.counts.missed += 1
                return None
            image = self._picture(camera, near[0])
            if image is not None:
                return image
            frames.remove(near[0])

    def _picture(self, camera: _Camera, frame: _Frame) -> np.ndarray | None:
        if frame.image is None and frame.decode is not None:
            try:
                image = frame.decode()
                if image.shape != camera.spec.shape:
                    raise ShapeError("a frame has another size", got=image.shape, expected=camera.spec.shape)
                frame.image = image
            except RobotStackError as error:
                camera.counts.broken += 1
                camera.counts.problem = str(error).replace("\n", " ")[:200]
            frame.decode = None
        return frame.image
