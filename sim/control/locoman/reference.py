"""References that follow targets smoothly: no jumps, bounded speed, no overshoot.

A critically damped second-order filter whose pull is clipped, so that its speed never exceeds a limit. Below the limit
it lags a steadily moving target by ``2 / bandwidth`` seconds.
"""

from __future__ import annotations

import numpy as np

from robot_stack.sim.control.whole_body.rotations import (
    conjugate,
    matrix_of,
    product,
    quaternion_from_vector,
    rotation_vector,
)


class SmoothVector:
    """A vector that goes after a target.

    Args:
        start: where it begins, shape ``(n,)``.
        speed: largest length of its rate [unit/s].
        bandwidth: of the filter [rad/s].
    """

    def __init__(self, start: np.ndarray, speed: float, bandwidth: float = 40.0) -> None:
        self.speed = speed
        self.bandwidth = bandwidth
        self.value = np.array(start, dtype=np.float64)
        """Where it is."""
        self.rate = np.zeros_like(self.value)
        """How fast it goes [unit/s]."""
        self.acceleration = np.zeros_like(self.value)
        """How its rate changes [unit/s²]."""

    def follow(self, target: np.ndarray, period_s: float) -> None:
        """Go after the target for one tick."""
        self.acceleration = _pull(target - self.value, self.rate, self.speed, self.bandwidth)
        self.rate = self.rate + period_s * self.acceleration
        self.value = self.value + period_s * self.rate


class SmoothRotation:
    """A rotation that goes after a target by the shorter way; see :class:`SmoothVector`.

    Args:
        start: where it begins, unit quaternion wxyz, shape ``(4,)``.
        speed: largest angular velocity [rad/s].
        bandwidth: of the filter [rad/s].
    """

    def __init__(self, start: np.ndarray, speed: float, bandwidth: float = 40.0) -> None:
        self.speed = speed
        self.bandwidth = bandwidth
        self.value = np.array(start, dtype=np.float64)
        """Where it is, unit quaternion wxyz, shape ``(4,)``."""
        self.rate = np.zeros(3)
        """Angular velocity in world axes, shape ``(3,)`` [rad/s]."""
        self.acceleration = np.zeros(3)
        """Angular acceleration in world axes, shape ``(3,)`` [rad/s²]."""

    def follow(self, target: np.ndarray, period_s: float) -> None:
        """Go after the target for one tick."""
        step = rotation_vector(matrix_of(product(target, conjugate(self.value))))
        self.acceleration = _pull(step, self.rate, self.speed, self.bandwidth)
        self.rate = self.rate + period_s * self.acceleration
        value = product(quaternion_from_vector(period_s * self.rate), self.value)
        self.value = value / np.linalg.norm(value)


def _pull(step: np.ndarray, rate: np.ndarray, speed: float, bandwidth: float) -> np.ndarray:
    length = float(np.linalg.norm(step))
    reach = 2.0 * speed / bandwidth
    if length > reach:
        step = step * (reach / length)
    return bandwidth**2 * step - 2.0 * bandwidth * rate


def eased(share: float) -> float:
    """0 … 1 to 0 … 1 with rate and acceleration zero at both ends: the quintic ``10 s³ - 15 s⁴ + 6 s⁵``."""
    s = min(max(share, 0.0), 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
