"""How long decisions take."""

from __future__ import annotations

from collections import deque

import numpy as np


class LatencyRecord:
    """The durations of the last decisions.

    Args:
        keep: how many.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self.seconds: deque[float] = deque(maxlen=keep)
        """Oldest first [s]."""
        self.count = 0
        """Decisions in all."""

    def add(self, seconds: float) -> None:
        """Record one decision."""
        self.seconds.append(seconds)
        self.count += 1

    def summary(self) -> dict[str, float]:
        """``count``, and over the decisions kept ``median_s``, ``p99_s`` and ``max_s``; only ``count`` when none."""
        if not self.seconds:
            return {"count": 0.0}
        median, p99 = np.quantile(np.array(self.seconds), (0.5, 0.99))
        return {
            "count": float(self.count),
            "median_s": float(median),
            "p99_s": float(p99),
            "max_s": max(self.seconds),
        }
