"""What a retargeting returns: the robot's motion, its contacts, and how far each frame is from what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from robot_stack.core.errors import ShapeError
from robot_stack.retarget.motion import ObjectMotion
from robot_stack.retarget.scene import Scene


@dataclass(frozen=True, eq=False)
class ContactSegment:
    """One stay of a contact group (a toe, a heel, a hand) on one surface, frames ``start`` to ``stop - 1``."""

    group: str
    """Which contact group of the keypoint table, for example ``"left_toe"``."""

    start: int
    """First frame."""

    stop: int
    """First frame after the last."""

    surface: str
    """Name of the scene's object that is touched, or ``"ground"``."""

    p_surface_anchor: np.ndarray
    """Where the group's points stay, in the surface's frame (the world's, for what does not move), ``(points, 3)``
    [m]; empty before the robot's own places are known."""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Violations:
    """By how much each frame misses the constraints, on true distances; all arrays have shape ``(frames,)``."""

    penetration_m: np.ndarray
    """Deepest penetration of ground and objects, 0 when there is none [m]."""

    self_penetration_m: np.ndarray
    """Deepest penetration of the robot with itself [m]."""

    anchor_m: np.ndarray
    """Largest distance of a contact point from its anchor [m]."""

    joint_limit: np.ndarray
    """Largest excess over a joint's range [rad or m]."""

    velocity: np.ndarray
    """Largest excess over a joint's speed limit, over the step that ends in this frame [rad/s or m/s]."""

    acceleration: np.ndarray
    """Likewise over an acceleration limit, where one was asked for, of the frame in the middle [rad/s² or m/s²]."""

    def worst(self) -> dict[str, float]:
        """The largest of each over the motion."""
        return {name: float(values.max(initial=0.0)) for name, values in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Retargeted:
    """A robot's motion. ``docs/retargeting.md`` has the contract for what reads it."""

    robot: str
    """Name of the robot."""

    fps: float
    """Frames a second [1/s]."""

    qpos: np.ndarray
    """MuJoCo's ``qpos`` of the robot: base position, base quaternion wxyz, joints; shape ``(frames, nq)``."""

    qvel: np.ndarray
    """MuJoCo's ``qvel``: base velocity in the world, base rate in the base's frame, joints; ``(frames, nv)``."""

    joint_names: tuple[str, ...]
    """The joints behind the base, in the order of ``qpos``."""

    contacts: tuple[ContactSegment, ...]
    """All contact segments, with the robot's own anchors."""

    keypoint_names: tuple[str, ...]
    """Keypoints that took part."""

    p_world_target: np.ndarray
    """The scaled source keypoints, shape ``(frames, keypoints, 3)`` [m]."""

    p_world_keypoint: np.ndarray
    """Where the robot's keypoints are, likewise [m]."""

    mesh_energy: np.ndarray
    """Laplacian deformation energy of each frame, shape ``(frames,)`` [m²]."""

    violations: Violations
    """How far each frame is from the constraints."""

    scale: float
    """Factor from the source's lengths to the robot's."""

    scene: Scene = Scene()
    """What the robot moved in, at its size."""

    objects: tuple[ObjectMotion, ...] = ()
    """How the scene's objects moved, likewise."""

    metrics: dict[str, float] = field(default_factory=dict)
    """Figures of :mod:`robot_stack.retarget.metrics` by name."""

    notes: tuple[str, ...] = ()
    """What was repaired, guessed or not met, in sentences."""

    def __post_init__(self) -> None:
        if self.qpos.ndim != 2 or self.qvel.shape[:1] != self.qpos.shape[:1]:
            raise ShapeError(
                "a robot's motion has the wrong shape",
                where=self.robot,
                got=(self.qpos.shape, self.qvel.shape),
                expected="(frames, nq) and (frames, nv)",
            )

    def __len__(self) -> int:
        return len(self.qpos)

    def accepted(self, penetration_m: float = 1e-3, anchor_m: float = 1e-3) -> np.ndarray:
        """Which frames keep all constraints, shape ``(frames,)``, bool.

        Args:
            penetration_m: allowed depth, for scene and self [m].
            anchor_m: allowed distance from an anchor [m].
        """
        off = self.violations
        return (
            (np.maximum(off.penetration_m, off.self_penetration_m) <= penetration_m)
            & (off.anchor_m <= anchor_m)
            & (off.joint_limit <= 1e-9)
            & (off.velocity <= 1e-6)
            & (off.acceleration <= 1e-6)
        )

    def part(self, span: slice) -> Retargeted:
        """A stretch of frames, without metrics."""
        frames = range(*span.indices(len(self)))
        inside = [s for s in self.contacts if s.start < frames.stop and s.stop > frames.start]
        clipped = [
            replace(s, start=max(s.start, frames.start) - frames.start, stop=min(s.stop, frames.stop) - frames.start)
            for s in inside
        ]
        return replace(
            self,
            qpos=self.qpos[span],
            qvel=self.qvel[span],
            contacts=tuple(clipped),
            p_world_target=self.p_world_target[span],
            p_world_keypoint=self.p_world_keypoint[span],
            mesh_energy=self.mesh_energy[span],
            violations=Violations(**{name: values[span] for name, values in vars(self.violations).items()}),
            objects=tuple(ObjectMotion(o.name, o.p_world_object[span], o.q_world_object[span]) for o in self.objects),
            metrics={},
        )

    def off_target_m(self) -> np.ndarray:
        """Largest distance of a keypoint from its scaled target in each frame, shape ``(frames,)`` [m]."""
        return np.linalg.norm(self.p_world_keypoint - self.p_world_target, axis=2).max(axis=1)
