"""The way from where a robot is to its start pose: every joint at once, smooth, at a share of its largest speed."""

from __future__ import annotations

import numpy as np

from robot_stack.hardware.loop_config import JointLimits, LoopConfig

PEAK = 1.875
"""Largest speed of a minimum-jerk way over its mean speed."""


class StartMove:
    """A minimum-jerk way of all joints (Flash and Hogan 1985).

    Args:
        start: where the joints are told to be now, shape ``(joints,)`` [rad or m].
        goal: where they shall be, likewise.
        speed: largest speed of each on the way, likewise [rad/s or m/s].
        least_s: it takes no less than this [s].
        begin_s: when it begins [s].
    """

    def __init__(self, start: np.ndarray, goal: np.ndarray, speed: np.ndarray, least_s: float, begin_s: float) -> None:
        self._start, self._way, self._begin_s = start, goal - start, begin_s
        moving = np.abs(self._way) > 1e-9
        needed = PEAK * float(np.max(np.abs(self._way[moving]) / speed[moving], initial=0.0))
        self.duration_s = max(least_s, needed) if moving.any() else 0.0
        """How long it takes [s]."""

    def at(self, now_s: float) -> np.ndarray:
        """Where the joints shall be, shape ``(joints,)``."""
        if self.duration_s <= 0.0:
            return self._start + self._way
        s = min(1.0, max(0.0, (now_s - self._begin_s) / self.duration_s))
        return self._start + self._way * (s**3 * (10.0 - 15.0 * s + 6.0 * s * s))

    def done(self, now_s: float) -> bool:
        """Whether its end has come."""
        return now_s - self._begin_s >= self.duration_s

    @classmethod
    def within(
        cls, limits: JointLimits, start: np.ndarray, goal: np.ndarray, config: LoopConfig, begin_s: float
    ) -> StartMove:
        """The way at the configured share of the largest speeds, to the nearest place within the limits."""
        inside = np.clip(goal, limits.low, limits.high)
        speed = config.ready_speed * np.array(limits.velocity)
        return cls(start, inside, speed, config.ready_min_s, begin_s)
