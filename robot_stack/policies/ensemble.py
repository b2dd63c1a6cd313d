"""Temporal ensembling: the action of a step is averaged over all chunks that planned it."""

from __future__ import annotations

from collections import deque

import numpy as np


class TemporalEnsemble:
    """The plans of one episode that reach the present (Zhao et al., "ACT", 2023, arXiv 2304.13705).

    With weights ``exp(-decay * i)``, ``i`` counting plans from the oldest.

    Args:
        decay: how much faster than its elders a newer plan fades.
        length: steps of a plan.
    """

    def __init__(self, decay: float, length: int) -> None:
        self.decay = decay
        self._plans: deque[np.ndarray] = deque(maxlen=length)

    def add(self, plan: np.ndarray) -> np.ndarray:
        """Add the plan made now and return the action for now; to be called at every step.

        Args:
            plan: actions from now on, shape ``(length, A)``.

        Returns:
            Shape ``(A,)``.
        """
        self._plans.append(plan)
        ages = range(len(self._plans) - 1, -1, -1)
        actions = np.stack([plan[age] for plan, age in zip(self._plans, ages, strict=True)])
        weights = np.exp(-self.decay * np.arange(len(actions)))
        return weights @ actions / weights.sum()
