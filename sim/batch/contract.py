"""What many episodes side by side look like to whatever learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.sim.batch.config import BatchStep


@runtime_checkable
class VectorWorld(Protocol):
    """Equal robots with equal tasks, stepped together; simulated by us or by Gymnasium."""

    nsim: int
    """How many."""

    @property
    def embodiment(self) -> Embodiment:
        """What every one of them senses and does."""
        ...

    def reset(
        self, seeds: Sequence[int | None] | np.ndarray | None = None, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Begin episodes; see :meth:`robot_stack.sim.batch.world.BatchWorld.reset`."""
        ...

    def step(self, action: np.ndarray) -> BatchStep:
        """Advance all by one control step, actions of shape ``(nsim, action_size)``."""
        ...

    def close(self) -> None:
        """Free what is held; idempotent."""
        ...
