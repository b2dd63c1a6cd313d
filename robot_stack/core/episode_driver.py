"""One slot of a driver of many, for a single robot."""

from __future__ import annotations

from collections.abc import Sequence

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import BatchDriver
from robot_stack.core.observation import Observation


class EpisodeDriver:
    """One slot of a driver of many, as a :class:`robot_stack.core.driver.Driver` for a single robot.

    Args:
        driver: decides; may serve other slots as well.
        slot: which one is this robot's.
    """

    def __init__(self, driver: BatchDriver, slot: int = 0) -> None:
        self.driver, self.slot = driver, slot

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self.driver.history

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self.driver.reset(self.slot, instruction, seed)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """Decide the next actions."""
        return self.driver.act([self.slot], [history])[0]
