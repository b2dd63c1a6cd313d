"""G1: take a box from the table on one side and put it onto the mat on the other side's table, with both hands."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.g1_hall import (
    SIDES,
    add_carton,
    add_pedestal,
    balance,
    box_fields,
    box_numbers,
    furnish_hall,
    hands_off_box,
    has_fallen,
    stand_ready,
)
from robot_stack.sim.robot_tasks.workbench import resize_box, two_colours, yaw_quaternion
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import WOOD
from robot_stack.sim.truth import Truth

HALF_M = ((0.06, 0.07, 0.065), (0.085, 0.11, 0.09))
"""Least and largest half edges of the box: depth, width between the palms, height [m]."""

MASS_KG = (0.4, 2.0)
"""Of the box [kg]."""

BEARING_RAD = (0.55, 0.75)
"""How far to the side each table stands, from straight ahead [rad]."""

DISTANCE_M, BOX_TURN_RAD = (0.37, 0.41), 0.12
"""Of box and mat from the middle of the soles [m]; how far the box is turned from facing there [rad]."""

TABLE_M = (0.70, 0.77)
"""Height of the tables, each its own [m]."""

TABLE_HALF_M, TABLE_BEHIND_M = (0.13, 0.13), 0.02
"""Half the tables' depth and width, and how far behind box or mat their middles are [m]."""

MAT_M = 0.07
"""Radius of the mat, and how near to its middle the box's must be [m]."""


class G1Carry:
    """Which side the box is on, bearings, distances and heights of the tables vary.

    So do the box's size, weight, heading and colour.
    """

    name = "g1/carry"
    instruction = "carry the box over to the mat"
    horizon = 700
    milestones = ("both hands at the box", "lifted", "over the mat", "on the mat")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Hand poses, balanced."""
        return balance(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Two tables, a mat and a box."""
        furnish_hall(made)
        for side in SIDES:
            add_pedestal(made, f"{side}_table", TABLE_HALF_M, WOOD)
        body = made.worldbody.add_body(name="mat", pos=(0.3, -0.25, 0.7))
        cylinder = import_mujoco().mjtGeom.mjGEOM_CYLINDER
        body.add_geom(name="mat", type=cylinder, size=(MAT_M, 0.0008, 0.0), contype=0, conaffinity=0)
        add_carton(made)

    def state_fields(self) -> tuple[Field, ...]:
        """The box, and the middle of the mat, on the table's top."""
        return (*box_fields(), Field("mat_position", 3, "m", tuple(f"mat_{axis}" for axis in XYZ)))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        return np.concatenate([box_numbers(truth), truth.p_world_body("mat")], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the side, tables, the box and colours."""
        stand_ready(start, rng)
        half, robot = rng.uniform(*HALF_M), start.robot
        resize_box(start, "box", half, rng.uniform(*MASS_KG))
        start.change("geom_pos", robot.geom("label"), np.array([0.0, 0.0, half[2]]))
        box_side = int(rng.integers(2))
        for i, (side, sign) in enumerate(zip(SIDES, (1.0, -1.0), strict=True)):
            bearing, distance, top = sign * rng.uniform(*BEARING_RAD), rng.uniform(*DISTANCE_M), rng.uniform(*TABLE_M)
            towards = np.array([np.cos(bearing), np.sin(bearing), 0.0])
            up = np.array([0.0, 0.0, top])
            start.change("body_pos", robot.body(f"{side}_table"), (distance + TABLE_BEHIND_M) * towards + up)
            start.change("body_quat", robot.body(f"{side}_table"), yaw_quaternion(bearing))
            if i == box_side:
                turn = yaw_quaternion(bearing + rng.uniform(-BOX_TURN_RAD, BOX_TURN_RAD))
                start.place("box", distance * towards + up + (0.0, 0.0, half[2]), turn)
            else:
                start.change("body_pos", robot.body("mat"), distance * towards + up)
        box, mat = two_colours(rng)
        start.recolour("box", box)
        start.recolour("mat", mat)

    def score(self, truth: Truth) -> Scores:
        """Success: the box stands still on the mat and both hands have let go."""
        p_box, half, gaps = truth.p_world_body("box"), truth.geom_size("box"), hands_off_box(truth)
        tops = np.stack([truth.p_world_body(f"{side}_table")[..., 2] for side in SIDES], axis=-1)
        p_mat, bottom = truth.p_world_body("mat"), p_box[..., 2] - half[..., 2]
        held = (gaps < 0.02).all(axis=-1)
        lifted = held & (bottom > np.where(p_mat[..., 1] < 0.0, tops[..., 0], tops[..., 1]) + 0.03)
        aside, above = np.linalg.norm((p_box - p_mat)[..., :2], axis=-1), bottom - p_mat[..., 2]
        over = aside < MAT_M
        still = np.linalg.norm(truth.v_world_free("box"), axis=-1) < 0.02
        done = over & (np.abs(above) < 0.005) & still & (gaps > 0.03).all(axis=-1)
        milestones = np.stack([held, lifted, held & over & (above > 0.0), done], axis=-1)
        near, way = 1.0 - np.tanh(5.0 * gaps.mean(axis=-1)), 1.0 - np.tanh(3.0 * aside)
        reward = np.where(done, 1.0, 0.2 * near + 0.2 * held + 0.4 * way * (held | over))
        fallen = has_fallen(truth)
        dropped = bottom < tops.min(axis=-1) - 0.1
        return Scores(done & ~fallen, milestones, np.where(fallen, 0.0, reward), fallen | dropped)
