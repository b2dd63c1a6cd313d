"""What the G1's tasks share: how it stands at the start, pedestals before it, a box for two palms, and falls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.g1_balance import G1Balance
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Start
from robot_stack.sim.robot_tasks.stand import FALLEN_HEIGHT, FALLEN_RAD
from robot_stack.sim.robot_tasks.workbench import pose_fields, pose_numbers, rotation_matrices, yaw_quaternion
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from robot_stack.sim.scene import RED, Rgba, add_box, add_camera, add_room
from robot_stack.sim.truth import Truth

SIDES = ("left", "right")
"""Order of the hands in actions."""

READY_RAD = {
    "shoulder_pitch": 0.72,
    "shoulder_roll": 0.72,
    "shoulder_yaw": 0.6,
    "elbow": -0.96,
    "wrist_roll": -1.05,
    "wrist_pitch": 0.33,
    "wrist_yaw": 0.2,
}
"""The left arm at the start [rad]: the hand before the shoulder, fingers forward, above all that stands on the tables.

The right arm is its mirror image.
"""

STANCE_M = 0.0298685
"""How far ahead of the base the middle of the soles is at home [m]."""

JITTER_RAD = 0.04
"""Standard deviation of the arms' joints at the start [rad]; draws are cut off at two of them."""

PLACE_M, HEADING_RAD = 0.02, 0.06
"""How far off the robot may stand at the start, in x and y [m], and turned [rad]."""

COLUMN_M = 1.2
"""Length of a pedestal's column [m]; the part that is too long is in the ground."""

TIP_M = (0.076, 0.013, 0.0)
"""From the left hand's site to the middle of its fingers' ends [m]; the right hand's is its mirror image in y."""


def balance(robot: RobotModel) -> Controller:
    """The action mode of the G1's tasks: poses of both hands in the stance frame, see ``G1Balance``."""
    return G1Balance(robot)


def furnish_hall(made: Any) -> None:
    """A room with the cameras ``front``, from ahead and the left, ``side``, from the right, and ``behind``.

    ``behind`` stands behind the robot to its left and sees what the robot faces.
    """
    add_room(made)
    add_camera(made, "front", (1.75, 1.25, 1.65), (0.22, 0.0, 0.70), fovy=38.0)
    add_camera(made, "side", (0.75, -1.75, 1.35), (0.22, 0.0, 0.68), fovy=42.0)
    add_camera(made, "behind", (-0.5, 1.15, 1.95), (0.25, 0.0, 0.82), fovy=40.0)


def stand_ready(start: Start, rng: np.random.Generator) -> None:
    """Put the robot on its feet near the origin, arms raised, all of it a little off.

    The middle of its soles is within :data:`PLACE_M` of the world's origin, so what stands before it is given in the
    world as seen from there.
    """
    robot, names = start.robot, UNITREE_G1.joint_names
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        for part, angle in READY_RAD.items():
            mirrored = sign if part.endswith(("roll", "yaw")) else 1.0
            start.qpos[robot.qpos[names.index(f"{side}_{part}_joint")]] = mirrored * angle
    arms = [i for i, name in enumerate(names) if name.partition("_")[2].removesuffix("_joint") in READY_RAD]
    noise = np.clip(rng.normal(0.0, JITTER_RAD, len(arms)), -2 * JITTER_RAD, 2 * JITTER_RAD)
    where = robot.qpos[arms]
    start.qpos[where] = np.clip(start.qpos[where] + noise, robot.low[arms], robot.high[arms])
    base, heading = robot.base_qpos.start, rng.uniform(-HEADING_RAD, HEADING_RAD)
    ahead = STANCE_M * np.array([np.cos(heading), np.sin(heading)])
    start.qpos[base : base + 2] = rng.uniform(-PLACE_M, PLACE_M, 2) - ahead
    start.qpos[base + 3 : base + 7] = yaw_quaternion(heading)


def has_fallen(truth: Truth) -> np.ndarray:
    """Whether the G1 leans or has sunk as ``g1/stand`` counts a fall, bool of shape ``(...)``."""
    quaternion = truth.q_world_body(UNITREE_G1.root)
    up = 1.0 - 2.0 * (quaternion[..., 1] ** 2 + quaternion[..., 2] ** 2)
    height = truth.p_world_body(UNITREE_G1.root)[..., 2]
    return (up < math.cos(FALLEN_RAD)) | (height < FALLEN_HEIGHT * UNITREE_G1.home_height_m)


def fingertips(truth: Truth) -> np.ndarray:
    """Middle of the ends of the fingers of the left and the right hand in the world, shape ``(..., 2, 3)`` [m]."""
    tips = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        tip = np.multiply(TIP_M, (1.0, sign, 1.0))
        tips.append(truth.p_world_site(f"{side}_hand") + truth.R_world_site(f"{side}_hand") @ tip)
    return np.stack(tips, axis=-2)


def add_pedestal(made: Any, name: str, half_size: tuple[float, float], rgba: Rgba) -> Any:
    """A board on one column, fixed in the world: move its body to put its top anywhere.

    Args:
        made: the ``MjSpec``.
        name: of the body, whose frame is the middle of the top, and of the board's geom.
        half_size: half the board's length in x and y [m].
        rgba: colour of the board.

    Returns:
        The body.
    """
    mujoco = import_mujoco()
    geom, thick = mujoco.mjtGeom, 0.015
    body = made.worldbody.add_body(name=name, pos=(0.5, 0.0, 0.7))
    firm = {"friction": (0.8, 0.01, 0.001), "condim": 4}
    body.add_geom(name=name, type=geom.mjGEOM_BOX, size=(*half_size, thick), pos=(0, 0, -thick), rgba=rgba, **firm)
    column = (0.035, COLUMN_M / 2, 0.0)
    place = (0.0, 0.0, -2 * thick - COLUMN_M / 2)
    body.add_geom(name=f"{name}_column", type=geom.mjGEOM_CYLINDER, size=column, pos=place, rgba=(0.3, 0.31, 0.33, 1.0))
    return body


def add_carton(made: Any) -> None:
    """The box for two hands: body and geom ``box``, with strips of tape that do not touch."""
    body = add_box(made, "box", (0.08, 0.1, 0.08), (0.4, 0.0, 0.8), RED, mass=1.0)
    label = body.add_geom(name="label", type=import_mujoco().mjtGeom.mjGEOM_BOX, size=(0.03, 0.045, 0.001), mass=0.0)
    label.rgba, label.contype, label.conaffinity = (0.92, 0.9, 0.84, 1.0), 0, 0


def box_fields() -> tuple[Field, ...]:
    """State fields of the box: pose, and half its edges."""
    return (*pose_fields("box"), Field("box_half_size", 3, "m", tuple(f"box_half_{axis}" for axis in XYZ)))


def box_numbers(truth: Truth) -> np.ndarray:
    """The numbers of :func:`box_fields`, shape ``(..., 12)``."""
    pose = pose_numbers(truth.p_world_body("box"), truth.q_world_body("box"))
    half = np.broadcast_to(truth.geom_size("box"), (*pose.shape[:-1], 3))
    return np.concatenate([pose, half], axis=-1)


def hands_off_box(truth: Truth) -> np.ndarray:
    """How far each palm is from the face of the box that looks at it, left before right, shape ``(..., 2)`` [m].

    Where a hand is not beside its face at all, its distance from the middle of that face counts.
    """
    R_box, half = rotation_matrices(truth.q_world_body("box")), truth.geom_size("box")
    gaps = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        offset = truth.p_world_site(f"{side}_hand") - truth.p_world_body("box")
        local = np.einsum("...ji,...j->...i", R_box, offset)
        off = local * (1.0, sign, 1.0) - half * (0.0, 1.0, 0.0)
        beside = (np.abs(off[..., 0]) < half[..., 0] + 0.03) & (np.abs(off[..., 2]) < half[..., 2])
        gaps.append(np.where(beside, np.abs(off[..., 1]), np.linalg.norm(off, axis=-1)))
    return np.stack(gaps, axis=-1)
