"""The safety filter's limits on motion, for many robots at once."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.safety_motion import MotionLimiter


class BatchMotionLimiter:
    """One :class:`~robot_stack.core.safety_motion.MotionLimiter` over the commands of all robots in a row.

    The limiter's arithmetic treats every number by itself, so each row moves exactly as it would alone behind a
    :class:`~robot_stack.core.safety.SafetyFilter`. Freshness, deadman and latched stops have no meaning here: the
    commands come from the same process in the same step.

    Args:
        limits: of one robot's joint command.
        period_s: time between calls [s].
        nsim: how many robots.
        size: length of one command.
    """

    def __init__(self, limits: SafetyLimits, period_s: float, nsim: int, size: int) -> None:
        vectors = {f.name: getattr(limits, f.name) for f in fields(limits) if f.name in _VECTORS}
        tiled = replace(limits, **{name: vector * nsim for name, vector in vectors.items()})
        self._limiter = _RowLimiter(tiled, period_s, nsim * size)
        self._shape = (nsim, size)

    def restart(self, rows: np.ndarray, start: np.ndarray) -> None:
        """These robots begin again at rest.

        Args:
            rows: which, shape ``(n,)``.
            start: commands in force, shape ``(n, size)``.
        """
        self._limiter.restart_rows(self._shape, rows, start)

    def move(self, target: np.ndarray) -> np.ndarray:
        """The commands to send.

        Args:
            target: what is asked for, finite, shape ``(nsim, size)``.

        Returns:
            Likewise, within the limits.
        """
        return self._limiter.move(target.reshape(-1), None, None, []).reshape(self._shape)


class _RowLimiter(MotionLimiter):
    def restart_rows(self, shape: tuple[int, int], rows: np.ndarray, start: np.ndarray) -> None:
        previous, delta = self._previous.reshape(2, *shape), self._delta.reshape(2, *shape)
        previous[0, rows], previous[1, rows] = -start, start
        delta[:, rows] = 0.0


_VECTORS = ("low", "high", "max_rate", "max_acceleration", "max_step", "stiffness", "damping", "max_effort")
