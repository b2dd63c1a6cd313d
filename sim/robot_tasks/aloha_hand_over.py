"""ALOHA: the left hand picks up a bar and hands it over to the right one."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.workbench import (
    PALETTE,
    TOP_M,
    furnish_aloha,
    jitter,
    pose_fields,
    pose_numbers,
    resize_box,
    rotation_matrices,
    yaw_quaternion,
)
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import RED, add_box
from robot_stack.sim.truth import Truth

HALF_LENGTH_M = (0.10, 0.13)
"""Half the bar's length is drawn from this range [m]."""

HALF_WIDTH_M, HALF_HEIGHT_M = 0.010, 0.015
"""Half its width and height [m]."""

DENSITY = 450.0
"""Of the bar [kg/m³]; soft wood."""

CARRIED_M = 0.10
"""The bar counts as carried from this height of its middle above the table [m]."""

PAD_TOUCH_M = 0.0077
"""Finger position at which ALOHA's pads touch each other [m]."""


def holds(truth: Truth, side: str) -> np.ndarray:
    """Whether a hand's fingers are closed on the bar, bool of shape ``(...)``."""
    p_bar, R_bar = truth.p_world_body("bar"), rotation_matrices(truth.q_world_body("bar"))
    local = np.einsum("...ji,...j->...i", R_bar, truth.p_world_site(f"{side}_hand") - p_bar)
    along = np.abs(local[..., 0]) < truth.geom_size("bar")[..., 0] + 0.01
    aside = np.linalg.norm(local[..., 1:], axis=-1) < 0.025
    gap = truth.joint_position(f"{side}/left_finger") - PAD_TOUCH_M - HALF_WIDTH_M
    return along & aside & (np.abs(gap) < 0.004)


class AlohaHandOver:
    """The bar's length, place, heading and colour vary."""

    name = "aloha/hand-over"
    instruction = "pick up the bar with the left hand and hand it over to the right hand"
    horizon = 700
    milestones = ("reached", "picked up", "lifted", "in both hands", "handed over")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions, as ALOHA's own software has it."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Table and bar."""
        furnish_aloha(made, spec)
        half = (HALF_LENGTH_M[1], HALF_WIDTH_M, HALF_HEIGHT_M)
        add_box(made, "bar", half, (0.0, 0.0, TOP_M + HALF_HEIGHT_M), RED, mass=8 * DENSITY * float(np.prod(half)))

    def state_fields(self) -> tuple[Field, ...]:
        """The bar's pose (x along it) and half its length."""
        return (*pose_fields("bar"), Field("bar_half_length", 1, "m"))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        bar = pose_numbers(truth.p_world_body("bar"), truth.q_world_body("bar"))
        half = np.broadcast_to(truth.geom_size("bar")[..., :1], (*bar.shape[:-1], 1))
        return np.concatenate([bar, half], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the bar's length, place and colour."""
        jitter(start, rng)
        half = np.array([rng.uniform(*HALF_LENGTH_M), HALF_WIDTH_M, HALF_HEIGHT_M])
        resize_box(start, "bar", half, 8 * DENSITY * float(np.prod(half)))
        place = np.array([rng.uniform(-0.12, 0.02), rng.uniform(-0.12, 0.12), TOP_M + HALF_HEIGHT_M])
        start.place("bar", place, yaw_quaternion(rng.uniform(-0.5, 0.5)))
        start.recolour("bar", tuple(PALETTE.values())[rng.integers(len(PALETTE))])

    def score(self, truth: Truth) -> Scores:
        """Handed over: the right hand alone holds the bar, in the air, and the left hand is away."""
        p_bar = truth.p_world_body("bar")
        left, right = holds(truth, "left"), holds(truth, "right")
        reach = np.linalg.norm(truth.p_world_site("left_hand") - p_bar, axis=-1)
        height = p_bar[..., 2] - TOP_M
        lifted = height > CARRIED_M
        open_left = truth.joint_position("left/left_finger") - PAD_TOUCH_M - HALF_WIDTH_M > 0.004
        over = right & ~left & open_left & lifted
        milestones = np.stack([reach < 0.10, left, left & lifted, left & right & lifted, over], axis=-1)
        near, up = 1.0 - np.tanh(5.0 * np.maximum(reach - 0.06, 0.0)), np.clip(height / CARRIED_M, 0.0, 1.0)
        part = 0.15 * near + 0.15 * (left | right) + 0.2 * up * (left | right) + 0.3 * (left & right & lifted)
        return Scores(over, milestones, np.where(over, 1.0, part), p_bar[..., 2] < TOP_M - 0.1)
