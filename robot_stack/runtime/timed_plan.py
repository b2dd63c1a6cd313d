"""A plan as the robot carries it out: actions with the times they are for, on the robot's clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TimedPlan:
    """Action ``k`` is for ``start_s + k * period_s``; the robot applies it at the control tick nearest to that."""

    observation_s: float
    """Stamp of the observation that it was decided on, on the robot's clock [s]."""

    start_s: float
    """When the first action is meant to be applied, on the robot's clock [s]."""

    period_s: float
    """Time between actions [s]."""

    actions: np.ndarray
    """Physical units, float64 of shape ``(steps >= 1, action_size)``."""

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def end_s(self) -> float:
        """When the last action's own step is over [s]."""
        return self.start_s + len(self) * self.period_s

    def index(self, time_s: float) -> int:
        """Which action belongs to ``time_s``; may lie outside of the plan."""
        return math.floor((time_s - self.start_s) / self.period_s + 0.5)

    def action(self, time_s: float) -> np.ndarray | None:
        """The action for ``time_s``, shape ``(action_size,)``; ``None`` before and after the plan."""
        index = self.index(time_s)
        return self.actions[index] if 0 <= index < len(self) else None

    def rest(self, time_s: float) -> np.ndarray:
        """The actions from ``time_s`` on, shape ``(steps, action_size)``; none when the plan is over."""
        return self.actions[max(0, self.index(time_s)) :]


def spliced(earlier: TimedPlan | None, later: TimedPlan, now_s: float) -> TimedPlan:
    """What is carried out from ``now_s`` on once ``later`` has come: the earlier plan goes on until its first action.

    Args:
        earlier: what was carried out so far.
        later: what replaces it, from its first action that is still to come.
        now_s: on the robot's clock [s].
    """
    ahead = -later.index(now_s)
    kept = earlier.rest(now_s)[:ahead] if earlier is not None and ahead > 0 else later.actions[:0]
    if len(kept) < max(1, ahead):
        return later
    start_s = later.start_s - ahead * later.period_s
    return TimedPlan(later.observation_s, start_s, later.period_s, np.concatenate([kept, later.actions]))
