"""Drivers of one episode each, as one driver of many; the other way is :mod:`robot_stack.core.episode_driver`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation


class SlotDrivers:
    """A :class:`robot_stack.core.driver.BatchDriver` that keeps a driver of its own for every slot: an expert's, say.

    Args:
        make: makes one; called when a slot is first used.
    """

    def __init__(self, make: Callable[[], Driver]) -> None:
        self.make = make
        self._idle = make()
        self._history = self._idle.history
        self._drivers: dict[int, Driver] = {}

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self._history

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``."""
        if slot not in self._drivers:
            self._drivers[slot] = self.make() if self._drivers else self._idle
        self._drivers[slot].reset(instruction, seed)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Each slot's driver decides for itself.

        Raises:
            ConfigError: if a slot was never reset.
        """
        unknown = [slot for slot in slots if slot not in self._drivers]
        if unknown:
            raise ConfigError("a slot was never reset", got=unknown)
        return [self._drivers[slot].act(history) for slot, history in zip(slots, histories, strict=True)]
