"""Where LocoMan's controllers learn the trunk's position and velocity from: truth, or the legs' odometry.

Joints, the trunk's orientation and angular velocity, and foot forces are measured on every robot; the trunk's position
and linear velocity are known to a simulator only, and must be estimated on hardware.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M
from robot_stack.sim.robots.model import RobotModel


class StateEstimate(Protocol):
    """Completes what is measured to what a controller needs."""

    def reset(self, state: RobotState) -> None:
        """An episode begins; the robot stands on all feet."""
        ...

    def update(self, state: RobotState) -> RobotState:
        """The state to control by, once a servo tick."""
        ...


class TrueState:
    """The simulator's truth as it is."""

    def reset(self, state: RobotState) -> None:
        """Nothing to remember."""

    def update(self, state: RobotState) -> RobotState:
        """The state itself."""
        return state


@dataclass(frozen=True)
class OdometryConfig:
    """How much the legs are believed."""

    touch_n: float = 12.0
    """A foot that bears more stands [N]."""

    full_n: float = 40.0
    """One that bears so much or more counts fully [N]."""

    velocity_s: float = 0.015
    """Time constant of the velocity [s]; impacts make single ticks unreliable."""

    height_s: float = 0.02
    """Time constant of the height [s]."""

    fall_s: float = 0.4
    """Without a standing foot for longer the trunk does not fall, but lies or hangs [s]."""

    def __post_init__(self) -> None:
        times = min(self.velocity_s, self.height_s, self.fall_s)
        if not (0 <= self.touch_n < self.full_n and times > 0):
            raise ConfigError("odometry needs a touch below the full load, and positive times", got=self)


class LegOdometry:
    """The trunk's velocity from the feet that stand, which roll on the floor without slipping; position by summing up.

    Uses nothing that a Go1 does not measure. The position begins at the origin, and drifts; the height does not, as
    the floor is taken to be level. Without a standing foot the trunk falls freely, for a while.

    Args:
        robot: LocoMan alone, compiled with no scene.
        config: how much the legs are believed.
    """

    def __init__(self, robot: RobotModel, config: OdometryConfig | None = None) -> None:
        self.config = OdometryConfig() if config is None else config
        self._dynamics = Dynamics(robot)
        self._feet = [self._dynamics.site(foot) for foot in robot.spec.feet]
        self._roll = np.array((0.0, 0.0, -FOOT_RADIUS_M))
        self._time_s: float | None = None

    def reset(self, state: RobotState) -> None:
        """The robot stands still at the origin."""
        self._aloft_s = 0.0
        self._velocity = np.zeros(3)
        self._position = np.zeros(3)
        self._time_s = state.time_s
        heights, _ = self._look(state)
        self._position[2] = heights.mean()

    def update(self, state: RobotState) -> RobotState:
        """The state with position and velocity by odometry; before any :meth:`reset`, begins here."""
        if self._time_s is None:
            self.reset(state)
        assert self._time_s is not None
        elapsed_s, self._time_s = max(state.time_s - self._time_s, 0.0), state.time_s
        heights, velocities = self._look(state)
        config = self.config
        share = np.minimum(np.maximum(state.foot_force - config.touch_n, 0.0) / (config.full_n - config.touch_n), 1.0)
        total = float(share.sum())
        if total > 0.0:
            step = elapsed_s / (config.velocity_s + elapsed_s)
            self._velocity = self._velocity + step * (share @ velocities / total - self._velocity)
            self._aloft_s = 0.0
        else:
            self._aloft_s += elapsed_s
            falls = self._aloft_s < config.fall_s
            self._velocity = self._velocity + elapsed_s * self._dynamics.gravity if falls else np.zeros(3)
        self._position = self._position + elapsed_s * self._velocity
        if total > 0.0:
            step = elapsed_s / (config.height_s + elapsed_s)
            self._position[2] += step * (float(share @ heights) / total - self._position[2])
        return replace(state, p_world_base=self._position.copy(), v_world_base=self._velocity.copy())

    def _look(self, state: RobotState) -> tuple[np.ndarray, np.ndarray]:
        """By each foot, were it the one that stands: the trunk's height, shape ``(4,)``, and velocity, ``(4, 3)``."""
        dynamics, nowhere = self._dynamics, np.zeros(3)
        dynamics.update(replace(state, p_world_base=nowhere, v_world_base=nowhere))
        heights, velocities = np.empty(4), np.empty((4, 3))
        for i, foot in enumerate(self._feet):
            twist = dynamics.jacobian(foot) @ dynamics.velocity
            heights[i] = FOOT_RADIUS_M - dynamics.position(foot)[2]
            velocities[i] = -(twist[:3] + np.cross(twist[3:], self._roll))
        return heights, velocities
