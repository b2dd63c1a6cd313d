"""Playing actions again that were recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ShapeError
from robot_stack.core.observation import Observation


class ReplayDriver:
    """Plays given actions, one a decision, and stays at the last one when they are used up.

    Args:
        actions: physical units, shape ``(steps, action_size)``; at least one.
    """

    history = 1

    def __init__(self, actions: np.ndarray) -> None:
        if actions.ndim != 2 or not len(actions):
            raise ShapeError("there is nothing to replay", got=actions.shape, expected="(steps >= 1, size)")
        self._actions = np.asarray(actions, dtype=np.float64)
        self._next = 0

    def __len__(self) -> int:
        return len(self._actions)

    def reset(self, instruction: str, seed: int) -> None:
        """From the first action again."""
        self._next = 0

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The next action."""
        now = min(self._next, len(self._actions) - 1)
        self._next += 1
        return ActionChunk(self._actions[now : now + 1])
