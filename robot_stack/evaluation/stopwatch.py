"""How long a batch driver takes, measured around it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import BatchDriver
from robot_stack.core.observation import Observation


class Stopwatch:
    """A batch driver that times the one inside.

    Args:
        driver: who decides.
    """

    def __init__(self, driver: BatchDriver) -> None:
        self.driver = driver
        self.calls_s: list[float] = []
        """Duration of each call of ``act`` [s]."""
        self.decisions = 0
        """Episodes answered, over all calls."""

    @property
    def history(self) -> int:
        """The driver's."""
        return self.driver.history

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """Pass on."""
        self.driver.reset(slot, instruction, seed)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Pass on, and measure."""
        before = time.perf_counter()
        chunks = self.driver.act(slots, histories)
        self.calls_s.append(time.perf_counter() - before)
        self.decisions += len(slots)
        return chunks
