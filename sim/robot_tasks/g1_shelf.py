"""G1: lift a box from a table onto a shelf with both hands."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.g1_hall import (
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

HALF_M = ((0.06, 0.08, 0.065), (0.085, 0.125, 0.09))
"""Least and largest half edges of the box: depth, width between the palms, height [m]."""

MASS_KG = (0.4, 2.0)
"""Of the box [kg]."""

BOX_X_M, BOX_Y_M, BOX_TURN_RAD = (0.27, 0.30), (-0.06, 0.06), 0.15
"""Where the box stands, from the middle of the soles [m], and how far it is turned [rad]."""

TABLE_M = (0.70, 0.76)
"""Height of the table [m]."""

SHELF_M, EDGE_M = (0.88, 1.0), (0.40, 0.43)
"""Height of the shelf, and how far before the robot its front edge is [m]."""

SHELF_HALF_M = (0.12, 0.24)
"""Half the shelf's depth and width [m]."""


class G1Shelf:
    """Size, weight, place, heading and colour of the box vary.

    So do the heights of table and shelf, and the shelf's place.
    """

    name = "g1/shelf"
    instruction = "put the box on the shelf"
    horizon = 600
    milestones = ("both hands at the box", "lifted", "over the shelf", "on the shelf")
    view = "side"

    def controller(self, robot: RobotModel) -> Controller:
        """Hand poses, balanced."""
        return balance(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A table, a shelf behind it, and a box."""
        furnish_hall(made)
        add_pedestal(made, "table", (0.16, 0.26), WOOD)
        _add_shelf(made)
        add_carton(made)

    def state_fields(self) -> tuple[Field, ...]:
        """The box, and the middle of the shelf's top."""
        return (*box_fields(), Field("shelf_position", 3, "m", tuple(f"shelf_{axis}" for axis in XYZ)))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        return np.concatenate([box_numbers(truth), truth.p_world_body("shelf")], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the box, heights, places and colours."""
        stand_ready(start, rng)
        half, robot = rng.uniform(*HALF_M), start.robot
        resize_box(start, "box", half, rng.uniform(*MASS_KG))
        start.change("geom_pos", robot.geom("label"), np.array([0.0, 0.0, half[2]]))
        x, y, table = rng.uniform(*BOX_X_M), rng.uniform(*BOX_Y_M), rng.uniform(*TABLE_M)
        turn = rng.uniform(-BOX_TURN_RAD, BOX_TURN_RAD)
        start.place("box", np.array([x, y, table + half[2]]), yaw_quaternion(turn))
        start.change("body_pos", robot.body("table"), np.array([0.34, 0.0, table]))
        aside = y + rng.uniform(-0.05, 0.05)
        p_shelf = np.array([rng.uniform(*EDGE_M) + SHELF_HALF_M[0], aside, rng.uniform(*SHELF_M)])
        start.change("body_pos", robot.body("shelf"), p_shelf)
        box, shelf = two_colours(rng)
        start.recolour("box", box)
        start.recolour("shelf", shelf)

    def score(self, truth: Truth) -> Scores:
        """Success: the box stands still on the shelf and both hands have let go."""
        p_box, half, gaps = truth.p_world_body("box"), truth.geom_size("box"), hands_off_box(truth)
        p_shelf, bottom = truth.p_world_body("shelf"), p_box[..., 2] - half[..., 2]
        held = (gaps < 0.02).all(axis=-1)
        lifted = held & (bottom > truth.p_world_body("table")[..., 2] + 0.03)
        off = np.abs((p_box - p_shelf)[..., :2])
        over = (off[..., 0] < SHELF_HALF_M[0] - 0.02) & (off[..., 1] < SHELF_HALF_M[1] - 0.02)
        above = bottom - p_shelf[..., 2]
        still = np.linalg.norm(truth.v_world_free("box"), axis=-1) < 0.02
        done = over & (np.abs(above) < 0.005) & still & (gaps > 0.03).all(axis=-1)
        milestones = np.stack([held, lifted, lifted & over & (above > 0.0), done], axis=-1)
        way = 1.0 - np.tanh(3.0 * np.linalg.norm(p_shelf - p_box, axis=-1))
        near = 1.0 - np.tanh(5.0 * gaps.mean(axis=-1))
        reward = np.where(done, 1.0, 0.2 * near + 0.2 * held + 0.4 * way * (lifted | over))
        fallen = has_fallen(truth)
        dropped = bottom < truth.p_world_body("table")[..., 2] - 0.1
        return Scores(done & ~fallen, milestones, np.where(fallen, 0.0, reward), fallen | dropped)


def _add_shelf(made: Any) -> None:
    """A board between two uprights that reach below the floor; its frame is the middle of the board's top."""
    box, (depth, width) = import_mujoco().mjtGeom.mjGEOM_BOX, SHELF_HALF_M
    body = made.worldbody.add_body(name="shelf", pos=(0.5, 0.0, 0.95))
    firm = {"friction": (0.8, 0.01, 0.001), "condim": 4}
    body.add_geom(name="shelf", type=box, size=(depth, width, 0.01), pos=(0, 0, -0.01), rgba=WOOD, **firm)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        place = (0.06, sign * (width + 0.012), -0.6)
        body.add_geom(name=f"upright_{side}", type=box, size=(0.04, 0.012, 0.6), pos=place, rgba=(0.3, 0.31, 0.33, 1))
