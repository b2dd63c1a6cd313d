"""Any robot with a free base: stay upright and in place. With pushes (``Randomization``) a test of balance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from robot_stack.sim.scene import add_camera, add_room
from robot_stack.sim.truth import Truth

FALLEN_RAD = math.radians(60.0)
"""The base has fallen when it leans more than this, or is lower than :data:`FALLEN_HEIGHT` of its height at home."""

FALLEN_HEIGHT = 0.5
"""Share of the height at home."""

JITTER_RAD = 0.03
"""Standard deviation of the joints' start about home [rad or m]."""

LEAN_SCALE, DRIFT_SCALE_M, SINK_SCALE = 0.2, 0.3, 0.1
"""Lean (1 - cos), drift from the start [m] and loss of height (share of home) at each of which the reward is half."""


class Stand:
    """Stay upright in place for some time; every episode begins with a heading and joints of its own.

    Args:
        spec: a robot with a free base.
        duration_s: how long [s]; success is to be up at the end.
        name: of the task; ``<robot>/stand`` when left out.

    Raises:
        ConfigError: if the base is fixed.
    """

    instruction = "stand still"
    milestones = ("upright", "in place", "half time")
    view = "front"

    def __init__(self, spec: RobotSpec, duration_s: float = 10.0, name: str = "") -> None:
        if spec.base != "floating":
            raise ConfigError("only a robot with a free base can fall", got=spec.name)
        self.name = name or f"{spec.name}/stand"
        self.horizon = round(duration_s * spec.control_hz)
        """Longest episode [control steps], at the robot's own rate."""
        self._root, self._height = spec.root, spec.home_height_m
        self._duration_s = duration_s

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """An empty room."""
        add_room(made)
        far, middle = 0.7 + 1.7 * self._height, 0.6 * self._height
        add_camera(made, "front", (far, 0.45 * far, middle + 0.35 * far), (0.0, 0.0, middle))

    def state_fields(self) -> tuple[Field, ...]:
        """None: the robot senses all there is."""
        return ()

    def state(self, truth: Truth) -> np.ndarray:
        """Nothing, shape ``(..., 0)``."""
        return truth.p_world_body(self._root)[..., :0]

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Turn the robot about the vertical, and move its joints a little."""
        robot = start.robot
        joints = len(robot.spec.joints)
        where, low, high = robot.qpos[:joints], robot.low[:joints], robot.high[:joints]
        start.qpos[where] = np.clip(start.qpos[where] + JITTER_RAD * rng.standard_normal(joints), low, high)
        half = rng.uniform(-np.pi, np.pi) / 2
        base = robot.base_qpos.start
        start.qpos[base + 3 : base + 7] = np.cos(half), 0.0, 0.0, np.sin(half)

    def score(self, truth: Truth) -> Scores:
        """Reward for being upright, at height and in place; failed when fallen."""
        position, quaternion = truth.p_world_body(self._root), truth.q_world_body(self._root)
        up = 1.0 - 2.0 * (quaternion[..., 1] ** 2 + quaternion[..., 2] ** 2)
        drift = np.hypot(position[..., 0], position[..., 1])
        height = position[..., 2] / self._height
        failed = (up < math.cos(FALLEN_RAD)) | (height < FALLEN_HEIGHT)
        upright = (up > 0.9) & (height > 0.8)
        placed = upright & (drift < DRIFT_SCALE_M)
        lean, sink = (1.0 - up) / LEAN_SCALE, np.abs(1.0 - height) / SINK_SCALE
        worst = lean**2 + sink**2 + (drift / DRIFT_SCALE_M) ** 2
        time_s = truth.time_s()
        half, whole = time_s > self._duration_s / 2 - 1e-6, time_s > self._duration_s - 1e-6
        milestones = np.stack([upright, placed, upright & half], axis=-1)
        return Scores(upright & whole, milestones, np.where(failed, 0.0, 1.0 / (1.0 + worst)), failed)


def g1_stand() -> Stand:
    """The G1 on its feet."""
    return Stand(UNITREE_G1, name="g1/stand")


def locoman_stand() -> Stand:
    """LocoMan on its four feet."""
    return Stand(LOCOMAN, name="locoman/stand")
