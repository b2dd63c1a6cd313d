"""Makes a smoothly moving pose of one that jumps: a target given ten to fifty times a second becomes a way to go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector


@dataclass(frozen=True)
class PoseFilterConfig:
    """How fast the pose may follow."""

    frequency: float = 12.0
    """Of the critically damped filter [rad/s]; it lags by 2 / frequency."""

    speed: float = 0.5
    """Largest speed [m/s]."""

    acceleration: float = 2.0
    """Largest acceleration [m/s²]."""

    turn_speed: float = 2.5
    """Largest angular speed [rad/s]."""

    turn_acceleration: float = 15.0
    """Largest angular acceleration [rad/s²]."""


class PoseFilter:
    """A pose that follows another: critically damped, with bounded speed and acceleration.

    Args:
        config: how fast.
    """

    def __init__(self, config: PoseFilterConfig | None = None) -> None:
        self.config = PoseFilterConfig() if config is None else config
        self.reset(np.zeros(3), np.eye(3))

    def reset(self, position: np.ndarray, axes: np.ndarray) -> None:
        """Rest at a pose: position ``(3,)`` [m] and axes ``(3, 3)``."""
        self.position, self.axes = position.copy(), axes.copy()
        self.velocity = np.zeros(6)
        """Linear [m/s], then angular [rad/s], in the axes that poses are given in, shape ``(6,)``."""

    def step(self, position: np.ndarray, axes: np.ndarray, period_s: float) -> None:
        """Follow a target for one tick."""
        config = self.config
        error = rotation_vector(axes @ self.axes.T)
        moved = self._follow(position - self.position, self.velocity[:3], config.speed, config.acceleration, period_s)
        turned = self._follow(error, self.velocity[3:], config.turn_speed, config.turn_acceleration, period_s)
        self.velocity = np.concatenate((moved, turned))
        self.position = self.position + period_s * moved
        self.axes = matrix_of(quaternion_from_vector(period_s * turned)) @ self.axes

    def _follow(
        self, error: np.ndarray, velocity: np.ndarray, fastest: float, hardest: float, period_s: float
    ) -> np.ndarray:
        """The next velocity: that of a critically damped spring, the approach slowed so that braking stays possible."""
        frequency = self.config.frequency
        distance = math.sqrt(float(error @ error))
        approach = min(0.5 * frequency * distance, fastest, (1.2 * hardest * distance) ** 0.5)
        wanted = error * (approach / distance) if distance > 1e-9 else np.zeros(3)
        change = 2.0 * frequency * period_s * (wanted - velocity)
        size = math.sqrt(float(change @ change))
        return velocity + (change if size <= hardest * period_s else change * (hardest * period_s / size))
