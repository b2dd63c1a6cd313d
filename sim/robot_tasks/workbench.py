"""The benches that the arms stand on, and what their tasks share: coloured boxes of any size, poses as numbers.

The Panda is bolted to a table, as in most labs; ALOHA stands on the table of its own frame of black profiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import ROT6D, XYZ
from robot_stack.sim.robot_tasks.contract import Start
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import Rgba, add_camera, add_room, add_table

TOP_M = 0.75
"""Height of the tables [m]."""

WHITE: Rgba = (0.86, 0.86, 0.84, 1.0)
BLACK: Rgba = (0.12, 0.12, 0.13, 1.0)

PALETTE: dict[str, Rgba] = {
    "red": (0.74, 0.16, 0.14, 1.0),
    "orange": (0.82, 0.40, 0.09, 1.0),
    "yellow": (0.80, 0.64, 0.12, 1.0),
    "green": (0.20, 0.52, 0.26, 1.0),
    "teal": (0.07, 0.49, 0.50, 1.0),
    "blue": (0.14, 0.31, 0.66, 1.0),
    "purple": (0.41, 0.24, 0.55, 1.0),
    "pink": (0.76, 0.36, 0.48, 1.0),
}
"""Colours of objects."""

MOUNT_M = {"panda": (0.0, 0.0, TOP_M), "aloha": (0.0, 0.0, TOP_M)}
"""Where the base of each robot stands [m]."""

START_NOISE_RAD = 0.03
"""Standard deviation of every arm joint about home at the start of an episode [rad]."""


def mount(made: Any, spec: RobotSpec) -> None:
    """Put the robot's base onto its table.

    Args:
        made: the ``MjSpec`` that holds the robot.
        spec: which robot.
    """
    made.body(spec.root).pos = MOUNT_M.get(spec.name, (0.0, 0.0, TOP_M))


def furnish_panda(made: Any, spec: RobotSpec) -> None:
    """Room and table for the Panda, whose base is put onto the table.

    Cameras: ``front`` and ``side`` show all of it to people, ``workspace`` looks closely at where objects lie.
    """
    add_room(made)
    mount(made, spec)
    add_table(made, (0.33, 0.0), TOP_M, (0.56, 0.60), rgba=(0.60, 0.48, 0.35, 1.0))
    box = import_mujoco().mjtGeom.mjGEOM_BOX
    plate = made.body("table").add_geom(name="base_plate", type=box, size=(0.16, 0.14, 0.004))
    plate.pos, plate.rgba, plate.contype, plate.conaffinity = (-0.36, 0.0, 0.021), BLACK, 0, 0
    add_camera(made, "front", (1.50, 0.0, TOP_M + 0.75), (0.28, 0.0, TOP_M + 0.26), fovy=50.0)
    add_camera(made, "side", (1.10, -1.10, TOP_M + 0.75), (0.28, 0.02, TOP_M + 0.26), fovy=48.0)
    add_camera(made, "workspace", (1.02, 0.0, TOP_M + 0.62), (0.46, 0.0, TOP_M + 0.03), fovy=48.0)


def furnish_aloha(made: Any, spec: RobotSpec) -> None:
    """Room, table with its frame, and ALOHA's cameras: ``overhead`` (its cam_high) and ``front`` (its cam_low)."""
    add_room(made)
    mount(made, spec)
    add_table(made, (0.0, 0.0), TOP_M, (0.61, 0.38), rgba=(0.27, 0.28, 0.30, 1.0))
    mujoco = import_mujoco()
    table = made.body("table")
    profiles = {
        "post_left": ((0.02, 0.02, 0.52), (-0.58, 0.36, 0.54)),
        "post_right": ((0.02, 0.02, 0.52), (0.58, 0.36, 0.54)),
        "beam": ((0.60, 0.02, 0.02), (0.0, 0.36, 1.04)),
        "arm": ((0.015, 0.335, 0.015), (0.0, 0.025, 1.075)),
    }
    for name, (size, place) in profiles.items():
        table.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=place, rgba=BLACK)
    add_camera(made, "overhead", (0.0, -0.304, TOP_M + 1.025), (0.0, 0.17, TOP_M), fovy=58.0)
    add_camera(made, "front", (0.0, -1.25, TOP_M + 0.72), (0.0, 0.0, TOP_M + 0.16), fovy=50.0)
    add_camera(made, "side", (-0.85, -0.95, TOP_M + 0.60), (0.0, 0.0, TOP_M + 0.12), fovy=42.0)


def jitter(start: Start, rng: np.random.Generator, std_rad: float = START_NOISE_RAD) -> None:
    """Move the arms a little away from home.

    Args:
        start: where the episode starts.
        rng: draws the noise.
        std_rad: its standard deviation; draws are cut off at two of them.
    """
    robot, count = start.robot, len(start.robot.spec.joints)
    noise = np.clip(rng.normal(0.0, std_rad, count), -2 * std_rad, 2 * std_rad)
    moved = start.qpos[robot.qpos[:count]] + noise
    start.qpos[robot.qpos[:count]] = np.clip(moved, robot.low[:count], robot.high[:count])


def resize_box(start: Start, name: str, half_size: np.ndarray, mass: float) -> None:
    """Give a body that is one box of the same name another size and mass for this episode.

    Args:
        start: where the changes are noted.
        name: of body and geom.
        half_size: half its edges, shape ``(3,)`` [m].
        mass: [kg].
    """
    geom, body = start.robot.geom(name), start.robot.body(name)
    start.change("geom_size", geom, half_size)
    start.change("geom_rbound", geom, float(np.linalg.norm(half_size)))
    start.change("geom_aabb", geom, np.concatenate([np.zeros(3), half_size]))
    start.change("body_mass", body, mass)
    squares = np.square(half_size)
    start.change("body_inertia", body, mass / 3.0 * (squares.sum() - squares))


def two_colours(rng: np.random.Generator) -> tuple[Rgba, Rgba]:
    """Two different colours of :data:`PALETTE`."""
    first, second = rng.choice(len(PALETTE), 2, replace=False)
    colours = tuple(PALETTE.values())
    return colours[first], colours[second]


def yaw_quaternion(yaw: float) -> np.ndarray:
    """Rotation about the vertical, wxyz, shape ``(4,)``."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def pose_fields(name: str) -> tuple[Field, Field]:
    """Position and orientation of a thing as state fields: ``<name>_position`` and ``<name>_rotation``."""
    return (
        Field(f"{name}_position", 3, "m", tuple(f"{name}_{axis}" for axis in XYZ)),
        Field(f"{name}_rotation", 6, "1", tuple(f"{name}_{axis}" for axis in ROT6D)),
    )


def rotation_matrices(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices of unit quaternions wxyz: ``(..., 4)`` to ``(..., 3, 3)``."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def pose_numbers(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """The numbers of :func:`pose_fields`, shape ``(..., 9)``; the rotation as its first two columns."""
    return frame_numbers(position, rotation_matrices(quaternion))


def frame_numbers(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The same from rotation matrices ``(..., 3, 3)``."""
    return np.concatenate([position, rotation[..., :, 0], rotation[..., :, 1]], axis=-1)
