"""The contract of whatever decides: a policy, a teleoperator, a script, a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from robot_stack.core.action import ActionChunk
from robot_stack.core.observation import Observation


@runtime_checkable
class Driver(Protocol):
    """Decides what one robot does in one episode at a time."""

    @property
    def history(self) -> int:
        """How many of the last observations it needs to decide (1 or more)."""
        ...

    def reset(self, instruction: str, seed: int) -> None:
        """Forget the last episode.

        Args:
            instruction: what to do, in words.
            seed: for the driver's own random choices.
        """
        ...

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """Decide the next actions; asked again when they are used up.

        Args:
            history: the last observations, oldest first; at the start of an episode the first one is repeated.
        """
        ...


@runtime_checkable
class BatchDriver(Protocol):
    """Decides for many episodes at once: the batched sibling of :class:`Driver`."""

    @property
    def history(self) -> int:
        """How many of the last observations it needs to decide (1 or more)."""
        ...

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``; forget the last one there."""
        ...

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Decide the next actions of several episodes.

        Args:
            slots: which episodes ask; each appears once.
            histories: per slot the last observations, oldest first.

        Returns:
            One chunk per slot, in the order of ``slots``. An episode's result must not depend on which other
            episodes share its batch (beyond floating-point rounding).
        """
        ...
