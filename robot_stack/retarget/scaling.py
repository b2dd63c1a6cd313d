"""From the source's size to the robot's: one factor, or one a limb."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.retarget.motion import Motion, ObjectMotion
from robot_stack.retarget.scene import Scene

_BONES = (
    ("pelvis", "{}_hip", "{}_knee", "{}_ankle", "{}_toe"),
    ("pelvis", "{}_shoulder", "{}_elbow", "{}_wrist"),
)


@dataclass(frozen=True, eq=False)
class Target:
    """A scene that differs from the source's, for the same motion to happen in: what augmentation asks for.

    Sizes are the robot's. The mesh's shape stays the source's, seen from the object that moves; its fixed corners go
    where the maps take them.
    """

    scene: Scene
    """Objects of the same names in the same order."""

    objects: tuple[ObjectMotion, ...] = ()
    """Of those that move."""

    maps: dict[str, np.ndarray] = field(default_factory=dict)
    """By object: affine map from its frame at the robot's size to its frame here, shape ``(3, 4)``; none is none."""

    nominal: np.ndarray | None = None
    """A motion of the robot to stay near to, shape ``(frames, nq)``."""

    nominal_weight: np.ndarray | None = None
    """Cost of a squared tangent step away from it, shape ``(frames, nv)`` [1/rad², 1/m²]."""

    def mapped(self, name: str, points: np.ndarray) -> np.ndarray:
        """Points ``(n, 3)`` of an object's frame where they are here."""
        if name not in self.maps:
            return points
        return points @ self.maps[name][:, :3].T + self.maps[name][:, 3]


@dataclass(frozen=True, eq=False)
class Scaled:
    """A motion and its scene at the robot's size."""

    motion: Motion
    """Scaled points and objects."""

    scene: Scene
    """Scaled about the world's origin (what moves: about its own, and its path about the world's)."""

    factor: float
    """Robot's length over source's."""

    why: str
    """One sentence for the report."""

    target: Target | None = None
    """Another scene for the robot; without, it is :attr:`scene`."""

    @property
    def robot_scene(self) -> Scene:
        """The scene that the robot moves in."""
        return self.scene if self.target is None else self.target.scene

    @property
    def robot_objects(self) -> tuple[ObjectMotion, ...]:
        """How its objects move."""
        return self.motion.objects if self.target is None else self.target.objects


def scale_all(motion: Motion, scene: Scene, table: KeypointTable, factor: float | None = None) -> Scaled:
    """One factor for body, objects and terrain, so that every contact of the source stays one, as OmniRetarget does.

    Args:
        motion: the source.
        scene: at the source's size.
        table: of the robot.
        factor: instead of the ratio of heights.
    """
    ratio = table.height_m / motion.height_m if factor is None else factor
    reason = "ratio of heights" if factor is None else "given"
    objects = tuple(ObjectMotion(o.name, o.p_world_object * ratio, o.q_world_object) for o in motion.objects)
    scaled = replace(motion, positions=motion.positions * ratio, height_m=motion.height_m * ratio, objects=objects)
    why = f"one factor {ratio:.4f} ({reason}) for body, objects and terrain: contacts of the source stay contacts"
    return Scaled(scaled, scene.scaled(ratio), ratio, why)


def scale_limbs(motion: Motion, scene: Scene, table: KeypointTable, p_home: dict[str, np.ndarray]) -> Scaled:
    """A factor for every bone, from the pelvis outwards, so that the robot's own bones can reach all targets.

    The robot's proportions are taken instead of the person's: bones keep their directions, and the shape of the whole
    does not. For the G1, whose shape is near a person's, one factor gives less mesh energy. Steps keep the ratio of leg
    lengths. Contacts with objects would come apart: a scene with objects gets
    :func:`scale_all`, and says so.

    Args:
        motion: the source, with its keypoints.
        scene: at the source's size.
        table: of the robot.
        p_home: the robot's keypoints in any posture, for its bones' lengths [m].
    """
    if scene.objects:
        whole = scale_all(motion, scene, table)
        return replace(whole, why=f"{whole.why} (with a factor a bone, as was asked for, they would come apart)")
    have = [name for name in table.names if name in motion.keypoint_names]
    points = {name: motion.point(motion.keypoint_names[name]) for name in have}
    legs = [b for side in ("left", "right") for b in _bones(side, 0, have)]
    ratio = _length(p_home, legs) / _length(points, legs) if legs else table.height_m / motion.height_m
    out = {"pelvis": points["pelvis"] * ratio}
    for side in ("left", "right"):
        for chain in range(2):
            for parent, child in _bones(side, chain, have):
                bone = points[child] - points[parent]
                own = np.linalg.norm(p_home[child] - p_home[parent]) / np.median(np.linalg.norm(bone, axis=1))
                out[child] = out[parent] + bone * own
    positions = motion.positions * ratio
    for name, path in out.items():
        positions[:, motion.names.index(motion.keypoint_names[name])] = path
    scaled = replace(motion, positions=positions, height_m=motion.height_m * ratio)
    why = f"one factor a bone, steps by the ratio of leg lengths {ratio:.4f}: nothing but the ground is touched"
    return Scaled(scaled, scene.scaled(ratio), ratio, why)


def _bones(side: str, chain: int, have: list[str]) -> list[tuple[str, str]]:
    names = [n.format(side) for n in _BONES[chain] if n.format(side) in have]
    return list(pairwise(names))


def _length(points: dict[str, np.ndarray], bones: list[tuple[str, str]]) -> float:
    return float(sum(np.median(np.linalg.norm(points[b] - points[a], axis=-1)) for a, b in bones))
