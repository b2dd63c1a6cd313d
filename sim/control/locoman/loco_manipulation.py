"""Loco-manipulation: the trot with the manipulators out, each gripper's orientation held while its leg swings.

LocoMan's manipulators hang on the front calves, so walking decides where the grippers are; how they are turned is free.
On entering the manipulators go from their folded posture to a carrying one (LocoMan's "ready to hold"), and their three
joints then keep the grippers' orientations in the heading frame: x along the trot's heading, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.locoman.mode import HandTarget, Target
from robot_stack.sim.control.locoman.reference import SmoothRotation, eased
from robot_stack.sim.control.locoman.trot import ARM_JOINTS, Trot, TrotConfig
from robot_stack.sim.control.whole_body.rotations import (
    conjugate,
    matrix_of,
    product,
    quaternion_from_vector,
    quaternion_of,
)
from robot_stack.sim.control.whole_body.tasks import OrientationTask, Task
from robot_stack.sim.robots.model import RobotModel


@dataclass(frozen=True)
class CarryConfig:
    """How the manipulators carry."""

    posture: tuple[float, ...] = (-1.456, 0.0, 1.57, -1.456, 0.0, 1.57)
    """Joints of the right and the left manipulator when ready [rad]: grippers forward and up by 45° in stance, clear of
    the floor, the thighs and the trunk at every phase of the trot."""

    orientation: tuple[float, float, float, float] = (math.cos(math.pi / 8), 0.0, -math.sin(math.pi / 8), 0.0)
    """Of both hands in the heading frame when nothing is asked for, quaternion wxyz: pitched up by 45°."""

    unfold_s: float = 1.5
    """Time to unfold, and to fold [s]; LocoMan's."""

    turn_speed: float = 0.8
    """Hands are sent to new orientations at most so fast [rad/s]."""

    least_rise: float = 0.15
    """Sine of the least angle by which grippers point upwards; asked to point lower, they would meet the floor."""

    gains: tuple[float, float] = (400.0, 40.0)
    """kp [1/s²] and kd [1/s] of the hands' orientation."""

    def __post_init__(self) -> None:
        if len(self.posture) != len(ARM_JOINTS) or not (self.unfold_s > 0 and self.turn_speed > 0):
            raise ConfigError("carrying needs a posture of six joints and positive times", got=self)


class LocoManipulation(Trot):
    """The mode ``"loco_manipulation"``; serves the velocity and the orientation of both hands.

    Args:
        robot: LocoMan alone, compiled with no scene.
        config: how it trots.
        carry: how it carries.
    """

    name = "loco_manipulation"

    def __init__(
        self,
        robot: RobotModel,
        config: TrotConfig | None = None,
        carry: CarryConfig | None = None,
    ) -> None:
        super().__init__(robot, config)
        self.carry = carry = CarryConfig() if carry is None else carry
        frames = [self._dynamics.site(hand.site) for hand in robot.spec.end_effectors]
        self._hands = [OrientationTask(frame, *carry.gains) for frame in frames]
        self._turns: list[SmoothRotation] = []

    @property
    def ready(self) -> bool:
        """The manipulators are out."""
        return self._share >= 1.0 and not self._leaving

    def enter(self, state: RobotState) -> None:
        """Begin from standing, manipulators folded."""
        super().enter(state)
        self._folding = False
        self._turns = []
        self._send(np.array(self.carry.posture))

    def rest(self) -> Target:
        """Stand, hands in the carrying orientation; their positions are not served."""
        hand = HandTarget(np.zeros(3), np.array(self.carry.orientation))
        return Target(right_hand=hand, left_hand=hand)

    def _follow(self, target: Target) -> None:
        super()._follow(target if self.ready else Target())
        if self._leaving and not self._folding and not self._gait.stepping:
            self._folding = True
            self._send(self._home)
        self._share = min(self._share + self._period_s / self.carry.unfold_s, 1.0)

    def _send(self, goal: np.ndarray) -> None:
        """Let the manipulators' joints go from where they are to a posture."""
        self._start, self._goal, self._share = self._dynamics.joint_position[self._arm].copy(), goal, 0.0

    def _arms_folded(self) -> bool:
        return self._folding and self._share >= 1.0

    def _openings(self, asked: np.ndarray) -> np.ndarray:
        """As asked once the manipulators are out."""
        return asked if self.ready else super()._openings(asked)

    def _arm_tasks(self, target: Target) -> list[Task]:
        if self._share < 1.0 or self._folding:
            self._posture.position = self._start + eased(self._share) * (self._goal - self._start)
            return [self._posture]
        heading = quaternion_from_vector(np.array((0.0, 0.0, self._walk.rpy[2])))
        if not self._turns:
            self._turns = [self._begin(task, heading) for task in self._hands]
        spin = np.array((0.0, 0.0, self._walk.yaw_rate))
        for task, turn, asked in zip(self._hands, self._turns, (target.right_hand, target.left_hand), strict=True):
            wanted = np.array(self.carry.orientation) if asked is None else asked.orientation
            turn.follow(risen(wanted, self.carry.least_rise), self._period_s)
            task.orientation, task.velocity = product(heading, turn.value), spin
        return list(self._hands)

    def _begin(self, task: OrientationTask, heading: np.ndarray) -> SmoothRotation:
        """A hand's reference, from how the hand is turned now."""
        world = quaternion_of(self._dynamics.rotation(task.frame))
        return SmoothRotation(product(conjugate(heading), world), self.carry.turn_speed)


def risen(orientation: np.ndarray, least: float) -> np.ndarray:
    """The nearest orientation whose x axis points upwards by an angle of at least the sine ``least``.

    Args:
        orientation: unit quaternion wxyz, shape ``(4,)``.
        least: sine of the angle, within ±1.

    Returns:
        Unit quaternion wxyz, shape ``(4,)``.
    """
    x, y, z = matrix_of(orientation)[:, 0].tolist()
    if z >= least:
        return orientation
    level = math.hypot(x, y)
    axis = np.array((y, -x, 0.0)) / level if level > 1e-6 else np.array((0.0, -1.0, 0.0))
    angle = math.asin(least) - math.asin(max(z, -1.0))
    return product(quaternion_from_vector(angle * axis), orientation)
