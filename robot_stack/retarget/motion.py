"""A motion to retarget: named points over time, and the objects that moved with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.errors import ConfigError, RobotStackError, ShapeError, require_name


class MotionError(RobotStackError):
    """A motion cannot be read, or cannot be what it claims to be."""


KEYPOINTS = (
    "pelvis",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_toe",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_toe",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)
"""The points of a body that take part in the interaction mesh, as OmniRetarget's open implementation has them."""


@dataclass(frozen=True, eq=False)
class ObjectMotion:
    """How one object moved."""

    name: str
    """As in the scene."""

    p_world_object: np.ndarray
    """Position of its frame, shape ``(frames, 3)`` [m]."""

    q_world_object: np.ndarray
    """Orientation of its frame, unit quaternions wxyz, shape ``(frames, 4)``."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Points of a body over time, in a world with z up, in metres.

    What readers return holds every joint of the source; :meth:`keypoints` picks those of :data:`KEYPOINTS`.
    """

    names: tuple[str, ...]
    """One name for each point, the source's own."""

    positions: np.ndarray
    """In the world, shape ``(frames, points, 3)``, float64 [m]; NaN where a point was not seen."""

    fps: float
    """Frames a second [1/s]."""

    keypoint_names: dict[str, str]
    """Which of :attr:`names` is which of :data:`KEYPOINTS`; a keypoint that is not there is left out."""

    height_m: float
    """Standing height of the person or robot [m]."""

    objects: tuple[ObjectMotion, ...] = ()
    """What moved with it, in the scene's order."""

    source: str = ""
    """Where it came from, for provenance."""

    notes: tuple[str, ...] = field(default=())
    """What was repaired or guessed on the way, in sentences."""

    def __post_init__(self) -> None:
        if self.positions.ndim != 3 or self.positions.shape[1:] != (len(self.names), 3):
            raise ShapeError(
                "the points of a motion have the wrong shape",
                where=self.source or None,
                got=self.positions.shape,
                expected=f"(frames, {len(self.names)}, 3)",
            )
        if not self.fps > 0 or not self.height_m > 0:
            raise ConfigError("a motion needs a positive rate and height", got=(self.fps, self.height_m))
        for keypoint, name in self.keypoint_names.items():
            require_name("keypoint", keypoint, KEYPOINTS, where=self.source or None)
            require_name("point", name, self.names, where=self.source or None)
        for thing in self.objects:
            if thing.p_world_object.shape != (len(self), 3) or thing.q_world_object.shape != (len(self), 4):
                raise ShapeError(
                    f"the motion of object {thing.name!r} does not fit",
                    where=self.source or None,
                    got=(thing.p_world_object.shape, thing.q_world_object.shape),
                    expected=f"({len(self)}, 3) and ({len(self)}, 4)",
                )

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def duration_s(self) -> float:
        """From the first frame to the last [s]."""
        return max(0, len(self) - 1) / self.fps

    def point(self, name: str) -> np.ndarray:
        """One point over time, shape ``(frames, 3)`` [m].

        Raises:
            UnknownNameError: if there is none of that name.
        """
        return self.positions[:, self.names.index(require_name("point", name, self.names, where=self.source or None))]

    def keypoints(self, wanted: tuple[str, ...] = KEYPOINTS) -> np.ndarray:
        """The named keypoints over time, shape ``(frames, len(wanted), 3)`` [m].

        Raises:
            UnknownNameError: if the source lacks one.
        """
        for keypoint in wanted:
            require_name("keypoint of this motion", keypoint, self.keypoint_names, where=self.source or None)
        return np.stack([self.point(self.keypoint_names[keypoint]) for keypoint in wanted], axis=1)
