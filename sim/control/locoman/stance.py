"""Standing on four feet: the trunk follows position and rotation targets, the manipulators stay folded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.locoman.body import LocoManBody, StanceFrame
from robot_stack.sim.control.locoman.gait import GaitConfig
from robot_stack.sim.control.locoman.mode import Mode, Target
from robot_stack.sim.control.locoman.reference import SmoothRotation, SmoothVector
from robot_stack.sim.control.locoman.trot import Trot, TrotConfig
from robot_stack.sim.control.whole_body.rotations import product, quaternion_from_rpy
from robot_stack.sim.control.whole_body.tasks import ComTask, OrientationTask, PositionTask, PostureTask, Task
from robot_stack.sim.robots.locoman import HOME_HEIGHT_M, LOCOMAN
from robot_stack.sim.robots.model import RobotModel


@dataclass(frozen=True)
class TrunkLimits:
    """How far and how fast the trunk may be sent from where a mode holds it; LocoMan's figures for rotations."""

    position: tuple[float, float, float] = (0.05, 0.03, 0.08)
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


@dataclass(frozen=True)
class CatchConfig:
    """When a robot that is pushed must step."""

    margin_m: tuple[float, float] = (0.10, 0.06)
    """The capture point (where a foot would have to be for the robot to come to rest over it) may come so near to the
    edge of the feet's rectangle, along x and y [m]."""

    patience_s: float = 0.02
    """It must have been beyond for so long [s]."""


def quick_trots(robot: RobotModel) -> tuple[Trot, Trot]:
    """Trots on the spot that catch pushes to the right and to the left, with more steps a second than LocoMan's.

    The front foot of the side to which the robot is pushed is in the pair that steps first.

    Args:
        robot: LocoMan alone, compiled with no scene.
    """
    gait = GaitConfig(period_s=0.34, duty=0.52, load_s=0.01)
    right, left = replace(gait, offsets=(0.5, 0.0, 0.0, 0.5)), replace(gait, offsets=(0.0, 0.5, 0.5, 0.0))
    return Trot(robot, TrotConfig(gait=right)), Trot(robot, TrotConfig(gait=left))


class Stance:
    """Mode 0. It serves the body's offsets and the grippers.

    A push that four standing feet cannot bear is caught by stepping; the robot then stands where it came to rest, in a
    new stance frame, and serves targets again.

    Args:
        body: shared by the robot's modes.
        limits: of the body's offsets.
        catch: the modes that step when it is pushed to the right and to the left; :func:`quick_trots` when left out.
        config: when it steps.
    """

    name = "stance"

    def __init__(
        self,
        body: LocoManBody,
        limits: TrunkLimits | None = None,
        catch: tuple[Mode, Mode] | None = None,
        config: CatchConfig | None = None,
    ) -> None:
        self.config = CatchConfig() if config is None else config
        self._body = body
        self._trunk = TrunkReference(body, TrunkLimits() if limits is None else limits)
        self._posture = PostureTask(body.dynamics, LOCOMAN.home, kp=60.0, kd=12.0)
        self._catches: tuple[Mode, Mode] = quick_trots(body.robot) if catch is None else catch
        self._catch = self._catches[0]
        self._catching = self._leaving = False
        self._time_s = self._beyond_s = 0.0

    @property
    def catching(self) -> bool:
        """It steps, because it was pushed; targets wait."""
        return self._catching

    @property
    def ready(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return not (self._leaving or self._catching)

    @property
    def left(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self._leaving and not self._catching and self._trunk.settled

    def enter(self, state: RobotState) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        self._leaving = False
        self._stand(state)

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
        if not self._catching and self._must_step(period_s):
            self._catching = True
            self._catch = self._catches[int(self._capture[1] > 0.0)]
            self._catch.enter(state)
            self._catch.leave()  # it ends by itself, once the robot stands still
        if self._catching:
            command = self._catch.update(state, Target(grippers=target.grippers))
            if self._catch.left:
                self._stand(state)
            return command
        wanted = self.rest() if self._leaving else target
        self._trunk.follow(np.array((0.0, 0.0, HOME_HEIGHT_M)), 0.0, wanted, period_s)
        whole = body.control.solve(body.foot_contacts(), [self._trunk.tasks, [self._posture]])
        return body.command(whole, target.grippers)

    def _stand(self, state: RobotState) -> None:
        self._body.update(state)
        self._stance = self._body.stance()
        self._trunk.enter(self._stance)
        self._catching = False
        self._beyond_s = 0.0
        self._capture = np.zeros(2)
        self._time_s = state.time_s
        feet = [self._stance.from_world(self._body.dynamics.position(foot)) for foot in self._body.feet]
        self._room = np.abs(np.stack(feet)).min(axis=0)[:2] - self.config.margin_m

    def _must_step(self, period_s: float) -> bool:
        """The capture point has been beyond the middle of the feet for a while."""
        dynamics = self._body.dynamics
        height = max(float(dynamics.com[2] - self._stance.origin[2]), 0.05)
        speed = dynamics.com_jacobian @ dynamics.velocity
        ahead = speed * np.sqrt(height / 9.81)
        self._capture = self._stance.from_world(dynamics.com + ahead)[:2]
        beyond = bool((np.abs(self._capture) > self._room).any())
        self._beyond_s = self._beyond_s + period_s if beyond else 0.0
        return self._beyond_s > self.config.patience_s
