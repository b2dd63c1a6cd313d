"""What a robot is carrying out while it asks what to do next, and drivers that plan on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import BatchDriver
from robot_stack.core.errors import ShapeError
from robot_stack.core.observation import Observation


@dataclass(frozen=True, eq=False)
class RunningPlan:
    """Actions that are carried out from the newest observation on until another plan takes over.

    Row ``k`` belongs to the time of the newest observation plus ``k`` control periods.
    """

    actions: np.ndarray
    """Physical units, float64 of shape ``(steps, action_size)``; no steps when nothing is carried out."""

    weights: np.ndarray
    """How firmly the next plan is held to each of them, from 0 (free) to 1 (carried out before the next plan can be
    there), float64 of shape ``(steps,)``."""

    max_weight: float = 5.0
    """Most that one step of a policy's sampler pulls (real-time chunking, arXiv 2506.07339)."""

    def __post_init__(self) -> None:
        if self.actions.ndim != 2 or self.weights.shape != self.actions.shape[:1]:
            raise ShapeError(
                "a running plan has the wrong shape",
                got=(self.actions.shape, self.weights.shape),
                expected="(steps, size) and (steps,)",
            )

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def binding(self) -> bool:
        """Whether any of it holds the next plan."""
        return bool((self.weights > 0.0).any())


def nothing_running(action_size: int) -> RunningPlan:
    """The plan of a robot that waits for its first."""
    return RunningPlan(np.zeros((0, action_size)), np.zeros(0))


@runtime_checkable
class PlanningDriver(BatchDriver, Protocol):
    """A :class:`robot_stack.core.driver.BatchDriver` that can be asked before its last chunk is used up."""

    @property
    def continues(self) -> bool:
        """Whether it holds new plans to running ones; one that does not leaves the joining to who asks."""
        ...

    def plan(
        self,
        slots: Sequence[int],
        histories: Sequence[Sequence[Observation]],
        running: Sequence[RunningPlan],
    ) -> list[ActionChunk]:
        """Decide as far ahead as it can.

        Args:
            slots: which episodes ask; each appears once.
            histories: per slot the last observations, oldest first.
            running: per slot what is carried out meanwhile.

        Returns:
            One chunk per slot; its first action belongs to the time of the slot's newest observation.
        """
        ...
