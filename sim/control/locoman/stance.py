"""Standing on four feet: the trunk follows position and rotation targets, the manipulators stay folded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.sim.control.controller import JointCommand, RobotState
from robot_stack.sim.control.locoman.body import LocoManBody, StanceFrame
from robot_stack.sim.control.locoman.mode import Target
from robot_stack.sim.control.locoman.reference import SmoothRotation, SmoothVector
from robot_stack.sim.control.whole_body.rotations import product, quaternion_from_rpy
from robot_stack.sim.control.whole_body.tasks import ComTask, OrientationTask, PositionTask, PostureTask, Task
from robot_stack.sim.robots.locoman import HOME_HEIGHT_M, LOCOMAN


@dataclass(frozen=True)
class TrunkLimits:
    """How far and how fast the trunk may be sent from where a mode holds it; LocoMan's figures for rotations."""

    position: tuple[float, float, float] = (0.06, 0.05, 0.08)
    """Largest offset each way along x, y, z [m]."""

    rpy: tuple[float, float, float] = (0.40, 0.25, 0.40)
    """Largest roll, pitch, yaw [rad]."""

    speed: float = 0.15
    """Of the position [m/s]."""

    turn_speed: float = 0.6
    """Of the rotation [rad/s]."""


class TrunkReference:
    """Where the centre of mass, the trunk's height and its rotation shall be, as tasks for the whole body.

    Balance is a matter of the centre of mass, so horizontally it is what follows the target; the trunk goes along.

    Args:
        body: whose.
        limits: of the targets.
    """

    def __init__(self, body: LocoManBody, limits: TrunkLimits) -> None:
        self._body = body
        self.limits = limits
        self.com = ComTask(axes=(0, 1))
        """Horizontal balance."""
        self.height = PositionTask(body.dynamics.base, axes=(2,))
        """The trunk's height."""
        self.rotation = OrientationTask(body.dynamics.base)
        """The trunk's rotation."""

    @property
    def tasks(self) -> list[Task]:
        """All three, of equal priority."""
        return [self.com, self.height, self.rotation]

    def enter(self, stance: StanceFrame) -> None:
        """Begin where the trunk is; the body's dynamics are at the present state."""
        dynamics = self._body.dynamics
        self._stance = stance
        com, base = stance.from_world(dynamics.com), stance.from_world(dynamics.position(dynamics.base))
        self._place = SmoothVector(np.array((com[0], com[1], base[2])), self.limits.speed, bandwidth=12.0)
        self._turn = SmoothRotation(self._body.base_orientation, self.limits.turn_speed, bandwidth=12.0)

    def follow(self, hold: np.ndarray, pitch: float, target: Target, period_s: float) -> None:
        """Go after a target for one tick.

        Args:
            hold: where the mode holds the centre of mass (x, y) and the trunk (z) by itself, stance frame [m].
            pitch: pitch at which the mode holds the trunk by itself, nose down positive [rad].
            target: offsets from there; clipped to the limits.
            period_s: of the tick [s].
        """
        stance, reach, turn = self._stance, np.array(self.limits.position), np.array(self.limits.rpy)
        offset = np.minimum(np.maximum(target.body_position, -reach), reach)
        rpy = np.minimum(np.maximum(target.body_rpy, -turn), turn) + np.array((0.0, pitch, 0.0))
        self._place.follow(hold + offset, period_s)
        self._turn.follow(product(stance.quaternion, quaternion_from_rpy(rpy)), period_s)
        self.com.position = self.height.position = stance.to_world(self._place.value)
        self.com.velocity = self.height.velocity = stance.rotation @ self._place.rate
        self.com.acceleration = self.height.acceleration = stance.rotation @ self._place.acceleration
        self.rotation.orientation = self._turn.value
        self.rotation.velocity = self._turn.rate
        self.rotation.acceleration = self._turn.acceleration

    @property
    def settled(self) -> bool:
        """The reference moves no more."""
        return float(np.linalg.norm(self._place.rate)) < 2e-3 and float(np.linalg.norm(self._turn.rate)) < 5e-3


class Stance:
    """Mode 0. It serves the body's offsets and the grippers.

    Args:
        body: shared by the robot's modes.
        limits: of the body's offsets.
    """

    name = "stance"

    def __init__(self, body: LocoManBody, limits: TrunkLimits | None = None) -> None:
        self._body = body
        self._trunk = TrunkReference(body, TrunkLimits() if limits is None else limits)
        self._posture = PostureTask(body.dynamics, LOCOMAN.home, kp=60.0, kd=12.0)
        self._leaving = False
        self._time_s = 0.0

    @property
    def ready(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return not self._leaving

    @property
    def left(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self._leaving and self._trunk.settled

    def enter(self, state: RobotState) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        self._body.update(state)
        self._trunk.enter(self._body.stance())
        self._leaving = False
        self._time_s = state.time_s

    def rest(self) -> Target:
        """Every offset zero, grippers closed."""
        return Target()

    def leave(self) -> None:
        """Go back to the middle."""
        self._leaving = True

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        period_s, self._time_s = state.time_s - self._time_s, state.time_s
        body = self._body
        body.update(state)
        wanted = self.rest() if self._leaving else target
        self._trunk.follow(np.array((0.0, 0.0, HOME_HEIGHT_M)), 0.0, wanted, period_s)
        whole = body.control.solve(body.foot_contacts(), [self._trunk.tasks, [self._posture]])
        return body.command(whole, target.grippers)
