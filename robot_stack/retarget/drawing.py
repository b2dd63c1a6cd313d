"""Simple shapes in a MuJoCo picture: rods, balls and lines in the world."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from robot_stack.retarget.saved import Saved
from robot_stack.sim.render import import_mujoco

Colour = tuple[float, float, float, float]

BLUE: Colour = (0.16, 0.42, 0.76, 1.0)
ORANGE: Colour = (0.90, 0.47, 0.15, 1.0)
GREY: Colour = (0.45, 0.50, 0.56, 0.9)
SKIN: Colour = (0.62, 0.71, 0.82, 1.0)

_LIMBS = (
    ("{}_hip", "{}_knee", 1.6),
    ("{}_knee", "{}_ankle", 1.3),
    ("{}_ankle", "{}_toe", 1.0),
    ("{}_shoulder", "{}_elbow", 1.15),
    ("{}_elbow", "{}_wrist", 0.95),
)
"""Bones of each side, and how thick they are drawn."""


class Pen:
    """Adds shapes to a ``mujoco.MjvScene``; what no longer fits into it is left out.

    Args:
        scene: given by :meth:`robot_stack.sim.render.OffscreenRenderer.render`.
    """

    def __init__(self, scene: Any) -> None:
        self._scene, self._mujoco = scene, import_mujoco()

    def ball(self, place: np.ndarray, radius: float, colour: Colour) -> None:
        """A sphere [m]."""
        geom = self._next(self._mujoco.mjtGeom.mjGEOM_SPHERE, colour)
        if geom is not None:
            geom.size[:] = radius
            geom.pos[:] = place

    def rod(self, first: np.ndarray, second: np.ndarray, radius: float, colour: Colour) -> None:
        """A capsule from point to point [m]."""
        self._connect(self._mujoco.mjtGeom.mjGEOM_CAPSULE, first, second, radius, colour)

    def line(self, first: np.ndarray, second: np.ndarray, radius: float, colour: Colour) -> None:
        """A thin cylinder from point to point [m]."""
        self._connect(self._mujoco.mjtGeom.mjGEOM_CYLINDER, first, second, radius, colour)

    def _connect(self, kind: Any, first: np.ndarray, second: np.ndarray, radius: float, colour: Colour) -> None:
        if not (np.isfinite(first).all() and np.isfinite(second).all()) or np.linalg.norm(second - first) < 1e-6:
            return
        geom = self._next(kind, colour)
        if geom is not None:
            self._mujoco.mjv_connector(geom, kind, radius, np.asarray(first), np.asarray(second))

    def _next(self, kind: Any, colour: Colour) -> Any:
        scene = self._scene
        if scene.ngeom >= scene.maxgeom:
            return None
        geom = scene.geoms[scene.ngeom]
        self._mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), np.array(colour, np.float32))
        geom.category = self._mujoco.mjtCatBit.mjCAT_DECOR
        scene.ngeom += 1
        return geom


def person_points(saved: Saved, number: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The source at the robot's size in one frame: its keypoints, and its other joints, each by name [m].

    Keypoints that the robot lacks are among them, so that a person has legs beside a robot without knees. Ends of bones
    (of fingers, toes, the top of the head) and joints that were not seen are left out.
    """
    keypoints = dict(zip(saved.result.keypoint_names, saved.result.p_world_target[number], strict=True))
    source = saved.source
    if source is None:
        return keypoints, {}
    at = dict(zip(source.names, source.positions[min(number, len(source) - 1)], strict=True))
    for name, joint in source.keypoint_names.items():
        if np.isfinite(at[joint]).all():
            keypoints.setdefault(name, at[joint])
    known = set(source.keypoint_names.values())
    others = {
        name: place
        for name, place in at.items()
        if name not in known and np.isfinite(place).all() and not _END.search(name)
    }
    return keypoints, others


_END = re.compile(r"(_end|nub|endsite)[_\d]*$", re.IGNORECASE)
"""Names that exporters give to the far ends of last bones."""


def stick_bones(points: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Rods of a stick figure: their ends and relative thickness.

    Args:
        points: keypoints that are there [m].
    """
    for side in ("left", "right"):
        for first, second, thick in _LIMBS:
            a, b = first.format(side), second.format(side)
            if a in points and b in points:
                yield points[a], points[b], thick
    for part, thick in (("hip", 1.7), ("shoulder", 1.5)):
        if f"left_{part}" in points and f"right_{part}" in points:
            yield points[f"left_{part}"], points[f"right_{part}"], thick
    if all(k in points for k in ("pelvis", "left_shoulder", "right_shoulder")):
        neck = 0.5 * (points["left_shoulder"] + points["right_shoulder"])
        yield points["pelvis"], neck, 2.2
