"""Panda: put a square peg into a square hole."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.workbench import (
    TOP_M,
    furnish_panda,
    jitter,
    pose_fields,
    pose_numbers,
    rotation_matrices,
    two_colours,
    yaw_quaternion,
)
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import BLUE, RED, add_box
from robot_stack.sim.truth import Truth

PEG_HALF_M = (0.011, 0.011, 0.05)
"""Half the peg's edges [m]."""

CLEARANCE_M = 0.002
"""The hole is so much wider than the peg [m]."""

BLOCK_M = 0.06
"""Height of the block, and depth of its hole [m]."""

WALL_M = 0.03
"""Thickness of the block around the hole [m]."""

X_M, Y_M = (0.38, 0.58), (-0.22, 0.22)
"""Where peg and block may stand, from the robot's base [m]."""

APART_M = 0.15
"""Least distance between them at the start [m]."""


class PandaPeg:
    """The peg stands on the table; places, headings and colours of peg and block vary."""

    name = "panda/peg"
    instruction = "put the peg into the hole"
    horizon = 600
    milestones = ("reached", "grasped", "lifted", "over the hole", "entered", "inserted")
    view = "side"

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Table, peg and block."""
        furnish_panda(made, spec)
        add_box(made, "peg", PEG_HALF_M, (0.45, 0.1, TOP_M + PEG_HALF_M[2]), RED, mass=0.08)
        block = made.worldbody.add_body(name="block", pos=(0.5, -0.1, TOP_M))
        box = import_mujoco().mjtGeom.mjGEOM_BOX
        hole, wall, high = PEG_HALF_M[0] + CLEARANCE_M / 2, WALL_M / 2, BLOCK_M / 2
        for i, (x, y) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
            size = (wall, hole + 2 * wall, high) if x else (hole, wall, high)
            place = (x * (hole + wall), y * (hole + wall), high)
            solid = {"friction": (0.4, 0.005, 0.0001), "solref": (0.004, 1.0), "solimp": (0.95, 0.99, 0.001, 0.5, 2.0)}
            block.add_geom(name=f"block_{i}", type=box, size=size, pos=place, rgba=BLUE, **solid)

    def state_fields(self) -> tuple[Field, ...]:
        """Poses of peg (its centre, z along it) and hole (its mouth, z up)."""
        return (*pose_fields("peg"), *pose_fields("hole"))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        peg = pose_numbers(truth.p_world_body("peg"), truth.q_world_body("peg"))
        hole = pose_numbers(truth.p_world_body("block") + np.array([0.0, 0.0, BLOCK_M]), truth.q_world_body("block"))
        return np.concatenate([peg, hole], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw places, headings and colours."""
        jitter(start, rng)
        low, high = np.array([X_M[0], Y_M[0]]), np.array([X_M[1], Y_M[1]])
        p_peg, p_block = rng.uniform(low, high), rng.uniform(low, high)
        while np.linalg.norm(p_block - p_peg) < APART_M:
            p_peg, p_block = rng.uniform(low, high), rng.uniform(low, high)
        start.place("peg", np.array([*p_peg, TOP_M + PEG_HALF_M[2]]), yaw_quaternion(rng.uniform(-np.pi, np.pi)))
        block = start.robot.body("block")
        start.change("body_pos", block, np.array([*p_block, TOP_M]))
        start.change("body_quat", block, yaw_quaternion(rng.uniform(-np.pi / 4, np.pi / 4)))
        peg, wood = two_colours(rng)
        start.recolour("peg", peg)
        for i in range(4):
            start.recolour(f"block_{i}", wood)

    def score(self, truth: Truth) -> Scores:
        """Inserted: the peg stands at the bottom of the hole, and the fingers have let go."""
        p_peg, p_block = truth.p_world_body("peg"), truth.p_world_body("block")
        axis = rotation_matrices(truth.q_world_body("peg"))[..., :, 2]
        hand = truth.p_world_site("hand") - p_peg
        along = np.clip(np.sum(hand * axis, axis=-1), -PEG_HALF_M[2], PEG_HALF_M[2])
        reach = np.linalg.norm(hand - along[..., None] * axis, axis=-1)
        gap = truth.joint_position("finger_joint1") - PEG_HALF_M[0]
        held = (reach < 0.02) & (np.abs(gap) < 0.004)
        aside = np.linalg.norm((p_peg - p_block)[..., :2], axis=-1)
        upright = axis[..., 2] > np.cos(np.radians(8.0))
        foot = p_peg[..., 2] - PEG_HALF_M[2] * axis[..., 2] - TOP_M
        lifted = foot > 0.03
        entered = (aside < 0.006) & upright & (foot < BLOCK_M - 0.015)
        inserted = entered & (foot < 0.004) & (gap > 0.003)
        over = (aside < 0.01) & (foot > BLOCK_M - 0.01) & held
        milestones = np.stack([reach < 0.03, held, held & lifted, over, entered, inserted], axis=-1)
        depth = np.clip((BLOCK_M - foot) / BLOCK_M, 0.0, 1.0) * (aside < 0.01)
        near, close = 1.0 - np.tanh(5.0 * reach), 1.0 - np.tanh(5.0 * aside)
        reward = np.where(inserted, 1.0, 0.2 * near + 0.1 * held + 0.3 * close * (lifted | entered) + 0.3 * depth)
        fallen = (p_peg[..., 2] < TOP_M - 0.1) | ((axis[..., 2] < 0.3) & ~held & ~lifted)
        return Scores(inserted, milestones, reward, fallen)
