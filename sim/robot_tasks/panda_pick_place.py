"""Panda: pick up a cube and put it onto a disc."""

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
    resize_box,
    two_colours,
    yaw_quaternion,
)
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import RED, add_box
from robot_stack.sim.truth import Truth

HALF_M = (0.016, 0.026)
"""Half the cube's edge is drawn from this range [m]."""

DENSITY = 600.0
"""Of the cube [kg/m³]; wood."""

X_M, Y_M = (0.36, 0.60), (-0.26, 0.26)
"""Where cube and disc may lie, from the robot's base [m]."""

APART_M = 0.12
"""Least distance between cube and disc at the start [m]."""

NEAR_M = 0.025
"""The cube is on the disc when its centre is so near the disc's [m]."""


class PandaPickPlace:
    """The cube's size, colour, place and heading vary, and so do the disc's colour and place."""

    name = "panda/pick-place"
    instruction = "pick up the cube and put it on the disc"
    horizon = 500
    milestones = ("reached", "grasped", "lifted", "over the disc", "placed")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Table, cube and disc."""
        furnish_panda(made, spec)
        half = HALF_M[1]
        add_box(made, "cube", (half, half, half), (0.5, 0.0, TOP_M + half), RED, mass=DENSITY * (2 * half) ** 3)
        body = made.worldbody.add_body(name="disc", pos=(0.5, 0.2, TOP_M))
        cylinder = import_mujoco().mjtGeom.mjGEOM_CYLINDER
        body.add_geom(name="disc", type=cylinder, size=(0.045, 0.0008, 0.0), contype=0, conaffinity=0)

    def state_fields(self) -> tuple[Field, ...]:
        """The cube's pose and half edge, the disc's place."""
        disc = Field("disc_position", 3, "m", ("disc_x", "disc_y", "disc_z"))
        return (*pose_fields("cube"), Field("cube_half_edge", 1, "m"), disc)

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        cube = pose_numbers(truth.p_world_body("cube"), truth.q_world_body("cube"))
        half = np.broadcast_to(truth.geom_size("cube")[..., :1], (*cube.shape[:-1], 1))
        return np.concatenate([cube, half, truth.p_world_body("disc")], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw sizes, places and colours."""
        jitter(start, rng)
        half = rng.uniform(*HALF_M)
        resize_box(start, "cube", np.full(3, half), DENSITY * (2 * half) ** 3)
        low, high = np.array([X_M[0], Y_M[0]]), np.array([X_M[1], Y_M[1]])
        p_cube = rng.uniform(low, high)
        p_disc = rng.uniform(low, high)
        while np.linalg.norm(p_disc - p_cube) < APART_M:
            p_disc = rng.uniform(low, high)
        start.place("cube", np.array([*p_cube, TOP_M + half]), yaw_quaternion(rng.uniform(-np.pi, np.pi)))
        start.change("body_pos", start.robot.body("disc"), np.array([*p_disc, TOP_M]))
        cube, disc = two_colours(rng)
        start.recolour("cube", cube)
        start.recolour("disc", disc)

    def score(self, truth: Truth) -> Scores:
        """Placed: the cube lies still on the disc, and the fingers have let go."""
        p_cube, half = truth.p_world_body("cube"), truth.geom_size("cube")[..., 0]
        reach = np.linalg.norm(truth.p_world_site("hand") - p_cube, axis=-1)
        aside = np.linalg.norm((p_cube - truth.p_world_body("disc"))[..., :2], axis=-1)
        height = p_cube[..., 2] - TOP_M - half
        gap = truth.joint_position("finger_joint1") - half
        held = (reach < 0.02) & (np.abs(gap) < 0.004)
        lifted = height > 0.03
        still = np.linalg.norm(truth.v_world_free("cube"), axis=-1) < 0.02
        placed = (aside < NEAR_M) & (np.abs(height) < 0.004) & still & (gap > 0.004)
        milestones = np.stack([reach < 0.04, held, held & lifted, lifted & (aside < NEAR_M), placed], axis=-1)
        near, over = 1.0 - np.tanh(5.0 * reach), 1.0 - np.tanh(5.0 * aside)
        reward = np.where(placed, 1.0, 0.2 * near + 0.2 * held + 0.4 * over * (held | (aside < NEAR_M)))
        return Scores(placed, milestones, reward, p_cube[..., 2] < TOP_M - 0.1)
