"""The contract of a task: words, where an episode starts, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from robot_stack.core.action import Receipt
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot


@dataclass(frozen=True)
class Score:
    """How the task stands after one control step."""

    reward: float = 0.0
    """The step's reward, 0 where the task has none."""

    success: bool = False
    """The goal is reached now."""

    milestones: tuple[bool, ...] = ()
    """Which of the task's milestones hold now, in the task's order."""

    terminated: bool = False
    """The episode cannot go on (a fall, say)."""


@runtime_checkable
class Task(Protocol):
    """What is to be done, on one robot."""

    @property
    def name(self) -> str:
        """Identifier, e.g. ``"pick-place"``."""
        ...

    @property
    def instruction(self) -> str:
        """What to do, in words a person or a language model understands."""
        ...

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        ...

    @property
    def milestones(self) -> tuple[str, ...]:
        """Ordered partial goals; empty where the task has none."""
        ...

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Draw the start of an episode from the task's reset distribution; equal seeds give equal starts."""
        ...

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """How it stands after a command, from simulator truth, a reward model or a person.

        Args:
            observation: what was seen after the command.
            receipt: what was really sent.
        """
        ...
