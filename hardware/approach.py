"""Leads a position command to a target that jumps or moves, as fast as the limits allow and without overshooting.

An acceleration limit that only clips, as the safety filter's does, swings about a target that jumped: it runs at it
until it is there, and brakes behind it. Here the command brakes before its target, in the frame that moves with the
target, so that a target that moves evenly is followed without lag.
"""

from __future__ import annotations

import numpy as np

_LARGE = 1e12


class Approach:
    """One command vector; the safety filter behind it has the last word.

    With ``e`` the way to the target, ``t`` the target's own last step and ``A`` the largest change of a step, the
    relative way ``r = e - t`` is gone in steps ``d, d - A, d - 2A, …`` that sum to ``r``; the command moves by
    ``t + d``. A target that was never further than a step can change (``|r| <= A``) is met exactly.

    Args:
        velocity: largest speed of each number [unit/s].
        acceleration: largest acceleration of each [unit/s²]; infinity for none.
        period_s: between ticks [s].
    """

    def __init__(self, velocity: np.ndarray, acceleration: np.ndarray, period_s: float) -> None:
        self._most = velocity * period_s
        self._change = np.clip(acceleration * period_s**2, 1e-12, _LARGE)
        self._target: np.ndarray | None = None

    def restart(self) -> None:
        """The next target stands still, as far as is known."""
        self._target = None

    def toward(self, target: np.ndarray, command: np.ndarray) -> np.ndarray:
        """The next command, if nothing else limits it.

        Args:
            target: where to go, shape ``(size,)``; numbers that are not finite are passed on for the filter to refuse.
            command: in force now, likewise.
        """
        before, self._target = self._target, target
        own = np.zeros_like(target) if before is None else target - before
        own[~(np.abs(own) <= self._most)] = 0.0  # a jump is no motion
        way = target - command - own
        size = np.minimum(np.abs(way), _LARGE)
        count = np.floor(np.sqrt(2.0 * size / self._change + 0.25) - 0.5)
        step = size / (count + 1.0) + 0.5 * count * self._change
        met = (count < 1.0) | ~np.isfinite(way)
        return np.where(met, target, command + own + np.copysign(step, way))
