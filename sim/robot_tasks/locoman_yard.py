"""What LocoMan's tasks share: where it stands at the start, whether it has fallen, and figures to grasp."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.locoman.controller import LocoManController
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.contract import Start
from robot_stack.sim.robot_tasks.workbench import yaw_quaternion
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.scene import GRIP_FRICTION, add_camera, add_room
from robot_stack.sim.truth import Truth

JITTER_RAD = 0.02
"""Standard deviation of the legs' joints about home at the start [rad]."""

FALLEN_UP = 0.2
"""The trunk has fallen over when its side axis rises by more than the sine of about 53 degrees, or it lies low."""

FALLEN_M = 0.12
"""A trunk lower than this lies [m]."""


def all_modes(robot: RobotModel) -> Controller:
    """The action mode of LocoMan's tasks: every mode of its software by number, see ``LocoManController``."""
    return LocoManController(robot)


def furnish_yard(made: Any, look_at: tuple[float, float, float], distance_m: float = 1.0) -> None:
    """A room with the cameras ``front`` and ``side``.

    Args:
        made: the ``MjSpec``.
        look_at: what they look at [m].
        distance_m: how far they are [m].
    """
    add_room(made)
    x, y, z = look_at
    add_camera(made, "front", (x + distance_m, y + 0.55 * distance_m, z + 0.55 * distance_m), look_at)
    add_camera(made, "side", (x, y - 1.1 * distance_m, z + 0.45 * distance_m), look_at)


def stand_somewhere(start: Start, rng: np.random.Generator, yaw_rad: float = 0.0, place_m: float = 0.0) -> None:
    """Put LocoMan on its feet, its heading, place and joints a little off.

    Args:
        start: where the episode starts.
        rng: draws.
        yaw_rad: largest heading [rad].
        place_m: largest distance from the origin in x and y [m].
    """
    robot, base = start.robot, start.robot.base_qpos.start
    legs = robot.qpos[[i for i, name in enumerate(LOCOMAN.joint_names) if "man" not in name]]
    start.qpos[legs] += np.clip(rng.normal(0.0, JITTER_RAD, len(legs)), -2 * JITTER_RAD, 2 * JITTER_RAD)
    start.qpos[base : base + 2] = rng.uniform(-place_m, place_m, 2)
    start.qpos[base + 3 : base + 7] = yaw_quaternion(rng.uniform(-yaw_rad, yaw_rad))


def has_fallen(truth: Truth) -> np.ndarray:
    """Whether LocoMan lies on its side or on the floor, bool of shape ``(...)``; sitting up is no fall."""
    w, x, y, z = np.moveaxis(truth.q_world_body(LOCOMAN.root), -1, 0)
    side_up = 2.0 * (y * z + w * x)
    return (np.abs(side_up) > 1.0 - FALLEN_UP) | (truth.p_world_body(LOCOMAN.root)[..., 2] < FALLEN_M)


def add_figure(made: Any, name: str, radius: float, height: float, mass: float) -> None:
    """A toy figure that stands: a round body (geom ``name``) with a face, two ears and a hat that do not touch.

    Args:
        made: the ``MjSpec``.
        name: of the body and its one geom that touches; its frame is the middle of the round body.
        radius: of the round body [m].
        height: of it [m].
        mass: [kg].
    """
    mujoco = import_mujoco()
    geom = mujoco.mjtGeom
    body = made.worldbody.add_body(name=name, pos=(0.4, 0.1, height / 2))
    body.add_freejoint(name=f"{name}_free")
    solid = body.add_geom(name=name, type=geom.mjGEOM_CYLINDER, size=(radius, height / 2, 0.0), mass=mass)
    solid.friction, solid.condim = GRIP_FRICTION, 4
    solid.solref, solid.solimp = (0.005, 1.0), (0.95, 0.99, 0.001, 0.5, 2.0)
    dark, light = (0.1, 0.1, 0.1, 1.0), (0.93, 0.9, 0.84, 1.0)
    top, front = 0.18 * height, radius
    shown = {
        "belly": (
            geom.mjGEOM_ELLIPSOID,
            (0.15 * radius, 0.7 * radius, 0.22 * height),
            (front, 0, -0.15 * height),
            light,
        ),
        "eye_left": (geom.mjGEOM_SPHERE, (0.16 * radius, 0, 0), (0.92 * front, 0.38 * radius, top), dark),
        "eye_right": (geom.mjGEOM_SPHERE, (0.16 * radius, 0, 0), (0.92 * front, -0.38 * radius, top), dark),
        "ear_left": (geom.mjGEOM_SPHERE, (0.4 * radius, 0, 0), (0, 0.75 * radius, 0.5 * height), light),
        "ear_right": (geom.mjGEOM_SPHERE, (0.4 * radius, 0, 0), (0, -0.75 * radius, 0.5 * height), light),
    }
    for part, (kind, size, place, rgba) in shown.items():
        piece = body.add_geom(name=f"{name}_{part}", type=kind, size=size, pos=place, rgba=rgba, mass=0.0)
        piece.contype = piece.conaffinity = 0


def add_basket(made: Any, name: str, half_m: float, height_m: float, rgba: tuple[float, float, float, float]) -> None:
    """An open basket that stands fixed on the floor; its frame is the middle of its bottom.

    Args:
        made: the ``MjSpec``.
        name: of the body; walls are ``<name>_wall_0`` to ``_3``.
        half_m: half its inner width [m].
        height_m: of its walls [m].
        rgba: colour.
    """
    box = import_mujoco().mjtGeom.mjGEOM_BOX
    body = made.worldbody.add_body(name=name)
    thick = 0.005
    body.add_geom(name=f"{name}_bottom", type=box, size=(half_m, half_m, thick), pos=(0, 0, thick), rgba=rgba)
    for i, (x, y) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        size = (thick if x else half_m + 2 * thick, thick if y else half_m + 2 * thick, height_m / 2)
        place = (x * (half_m + thick), y * (half_m + thick), height_m / 2)
        body.add_geom(name=f"{name}_wall_{i}", type=box, size=size, pos=place, rgba=rgba)
