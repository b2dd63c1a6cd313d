"""LocoMan: walk onto a mark on the floor and stop there, looking along its arrow."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.locoman.controller import VelocityController
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.locoman_yard import furnish_yard, has_fallen, stand_somewhere
from robot_stack.sim.robot_tasks.workbench import two_colours, yaw_quaternion
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import RED
from robot_stack.sim.truth import Truth

DISTANCE_M, BEARING_RAD, TURN_RAD = (0.5, 1.5), 0.8, 0.6
"""How far the mark is, largest angle from straight ahead, largest angle between its arrow and the way there."""

NEAR_M, ALIGNED_RAD = 0.1, 0.2
"""The trunk stands over the mark, and looks along it, when it is off by less than this."""

SLOW_M_S, SLOW_RAD_S = 0.15, 0.3
"""It has stopped when the trunk moves and turns less than this; the trot sways in place."""


class LocoManWalk:
    """The mark's place, turn and colours vary, and so does where the robot looks at first."""

    name = "locoman/walk"
    instruction = "walk onto the mark and look along its arrow"
    horizon = 500
    milestones = ("close", "over the mark", "aligned")
    view = "side"

    def controller(self, robot: RobotModel) -> Controller:
        """The trot, by the trunk's velocity."""
        return VelocityController(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A flat mark with an arrow along its x axis; nothing touches it."""
        furnish_yard(made, (0.5, 0.0, 0.15), 1.9)
        geom = import_mujoco().mjtGeom
        mark = made.worldbody.add_body(name="mark", pos=(1.0, 0.0, 0.0))
        shapes = {
            "disc": (geom.mjGEOM_CYLINDER, (0.12, 0.001, 0.0), (0.0, 0.0, 0.001), (0.93, 0.9, 0.84, 1.0)),
            "arrow": (geom.mjGEOM_BOX, (0.09, 0.012, 0.001), (0.02, 0.0, 0.002), RED),
            "head": (geom.mjGEOM_CYLINDER, (0.03, 0.001, 0.0), (0.1, 0.0, 0.003), RED),
        }
        for name, (kind, size, place, rgba) in shapes.items():
            piece = mark.add_geom(name=f"mark_{name}", type=kind, size=size, pos=place, rgba=rgba)
            piece.contype = piece.conaffinity = 0

    def state_fields(self) -> tuple[Field, ...]:
        """Where the mark is and the way its arrow points; seen from the trunk as well, as a camera on it would."""
        return (
            Field("mark_position", 3, "m", tuple(f"mark_{a}" for a in XYZ)),
            Field("mark_direction", 2, "1", ("mark_cos", "mark_sin")),
            Field("mark_from_base", 2, "m", ("mark_ahead", "mark_left")),
            Field("mark_turn", 2, "1", ("mark_turn_cos", "mark_turn_sin")),
        )

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        position, yaw = truth.p_world_body("mark"), _yaw(truth.q_world_body("mark"))
        ahead, left, turn = self._seen(truth)
        columns = (np.cos(yaw), np.sin(yaw), ahead, left, np.cos(turn), np.sin(turn))
        return np.concatenate([np.broadcast_to(position, (*ahead.shape, 3)), *(c[..., None] for c in columns)], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the robot's heading and place, the mark's, and colours."""
        stand_somewhere(start, rng, yaw_rad=0.3, place_m=0.05)
        distance, bearing = rng.uniform(*DISTANCE_M), rng.uniform(-BEARING_RAD, BEARING_RAD)
        mark = start.robot.body("mark")
        start.change("body_pos", mark, np.array([distance * np.cos(bearing), distance * np.sin(bearing), 0.0]))
        start.change("body_quat", mark, yaw_quaternion(bearing + rng.uniform(-TURN_RAD, TURN_RAD)))
        first, second = two_colours(rng)
        start.recolour("mark_disc", first)
        for part in ("arrow", "head"):
            start.recolour(f"mark_{part}", second)

    def score(self, truth: Truth) -> Scores:
        """Success: over the mark, along its arrow, at rest, and not fallen."""
        ahead, left, turn = self._seen(truth)
        off = np.hypot(ahead, left)
        velocity, rate = truth.v_world_free(LOCOMAN.root), truth.w_body_free(LOCOMAN.root)
        slow = (np.hypot(velocity[..., 0], velocity[..., 1]) < SLOW_M_S) & (np.abs(rate[..., 2]) < SLOW_RAD_S)
        over, aligned, fallen = off < NEAR_M, np.abs(turn) < ALIGNED_RAD, has_fallen(truth)
        milestones = np.stack([off < 0.3, over, over & aligned], axis=-1)
        reward = 0.7 * (1.0 - np.tanh(off)) + 0.3 * (1.0 - np.tanh(np.abs(turn)))
        return Scores(over & aligned & slow & ~fallen, milestones, np.where(fallen, 0.0, reward), fallen)

    def _seen(self, truth: Truth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mark from the trunk: ahead, left [m], and the turn to its arrow [rad], each of shape ``(...)``."""
        away = (truth.p_world_body("mark") - truth.p_world_body(LOCOMAN.root))[..., :2]
        yaw = _yaw(truth.q_world_body(LOCOMAN.root))
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = _yaw(truth.q_world_body("mark")) - yaw
        ahead = cos * away[..., 0] + sin * away[..., 1]
        return ahead, cos * away[..., 1] - sin * away[..., 0], np.arctan2(np.sin(turn), np.cos(turn))


def _yaw(q_world: np.ndarray) -> np.ndarray:
    """Heading of bodies, quaternions wxyz of shape ``(..., 4)`` [rad]."""
    w, x, y, z = np.moveaxis(q_world, -1, 0)
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
