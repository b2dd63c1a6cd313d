"""A robot with its keypoints and contact points marked, to judge a table by eye."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.sim.render import OffscreenRenderer, import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import add_camera, add_room

COLOURS = {"left": (0.1, 0.35, 1.0, 1.0), "right": (0.95, 0.15, 0.1, 1.0), "": (0.1, 0.7, 0.2, 1.0)}
"""Of keypoints, by side: left blue, right red, pelvis green. RGBA."""

CONTACT = (1.0, 0.8, 0.0, 1.0)
"""Of contact points: yellow."""

BONES = (
    ("pelvis", "{}_hip", "{}_knee", "{}_ankle", "{}_toe"),
    ("pelvis", "{}_shoulder", "{}_elbow", "{}_wrist"),
)
"""Chains of keypoints of one side."""

_VIEWS = {"front": (1.0, 0.0, 0.05), "left": (0.0, 1.0, 0.05), "behind": (-0.75, 0.55, 0.4)}
"""Where the cameras are, from the robot, in its distance."""


def table_image(spec: RobotSpec, table: KeypointTable, height: int = 480, width: int = 480) -> np.ndarray:
    """The robot at home from the front, from the left and from behind at an angle, side by side.

    Keypoints are balls, left blue, right red, pelvis green, joined by bones; contact points are yellow.
    The robot itself is see-through.

    Args:
        spec: the robot.
        table: its table.
        height: of the image [pixel].
        width: of each of the three views [pixel].

    Returns:
        RGB, uint8, shape ``(height, 3 * width, 3)``.

    Raises:
        RenderError: if no image can be made here.
        RobotModelError: if the table names bodies that the robot lacks.
    """
    mujoco = import_mujoco()
    plain = compile_robot(spec)
    data = mujoco.MjData(plain.model)
    data.qpos[:] = plain.home_qpos()
    mujoco.mj_kinematics(plain.model, data)
    places = {
        name: data.xpos[plain.body(point.body)] + data.xmat[plain.body(point.body)].reshape(3, 3) @ point.offset
        for name, point in table.keypoints.items()
    }
    low, high = data.xpos[plain.root :].min(axis=0), data.xpos[plain.root :].max(axis=0)
    middle, away = 0.5 * (low + high), 1.5 * (float((high - low).max()) + 0.25)

    def furnish(made: Any) -> None:
        for body in made.bodies:
            unseen = all(geom.group > 2 for geom in body.geoms)
            for geom in body.geoms:
                geom.rgba = (*geom.rgba[:3], 0.2)
                geom.material = ""
                geom.group = 0 if unseen else geom.group
        add_room(made)
        _mark(made, table, places)
        for name, view in _VIEWS.items():
            add_camera(made, f"table_{name}", tuple(middle + away * np.array(view)), tuple(middle))

    robot = compile_robot(spec, furnish)
    data = mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    mujoco.mj_forward(robot.model, data)
    renderer = OffscreenRenderer(robot.model, height, width, "full")
    try:
        views = [robot.model.camera(f"table_{name}").id for name in _VIEWS]
        return np.concatenate([renderer.render(data, view, height, width) for view in views], axis=1)
    finally:
        renderer.close()


def _mark(made: Any, table: KeypointTable, places: dict[str, np.ndarray]) -> None:
    """Balls at keypoints and contact points, and bones, as geoms that touch nothing and weigh nothing."""
    kinds = import_mujoco().mjtGeom
    bodies = {body.name: body for body in made.bodies}
    size = 0.022 * max(1.0, table.height_m / 1.3)
    ghost = {"contype": 0, "conaffinity": 0, "mass": 0.0}
    for name in table.names:
        point, colour = table.keypoints[name], COLOURS[name.rpartition("_")[0]]
        bodies[point.body].add_geom(
            type=kinds.mjGEOM_SPHERE, size=(size, 0.0, 0.0), pos=point.offset, rgba=colour, **ghost
        )
    taken = set(table.keypoints.values())
    for point in (point for group in table.contacts for point in group.points):
        # Where a contact point is a keypoint too, it shows as a ring around it.
        ring = point in taken
        kind = kinds.mjGEOM_CYLINDER if ring else kinds.mjGEOM_SPHERE
        sized = (1.5 * size, 0.3 * size, 0.0) if ring else (0.7 * size, 0.0, 0.0)
        bodies[point.body].add_geom(type=kind, size=sized, pos=point.offset, rgba=CONTACT, **ghost)
    for chain in BONES:
        for side in ("left", "right"):
            names = [name.format(side) for name in chain if name.format(side) in places]
            for start, end in pairwise(names):
                ends = (*places[start], *places[end])
                bone = {"type": kinds.mjGEOM_CAPSULE, "size": (0.25 * size, 0.0, 0.0), "rgba": COLOURS[side]}
                made.worldbody.add_geom(fromto=ends, **bone, **ghost)
