"""What the control loop tells about an episode, to everything that listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from robot_stack.core.action import Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.observation import Observation
from robot_stack.core.task import Score

Ending = Literal["success", "horizon", "terminated", "stopped"]


@dataclass(frozen=True)
class EpisodeContext:
    """What is known when an episode starts."""

    embodiment: Embodiment
    """The robot's."""

    task: str
    """The task's name."""

    instruction: str
    """The task in words."""

    seed: int
    """Of the reset distribution and of the driver."""

    milestones: tuple[str, ...] = ()
    """The task's milestones, in order."""

    driver: str = ""
    """Who decides: ``"expert"``, ``"policy <hash>"``, ``"teleoperation"`` …"""


@dataclass(frozen=True, eq=False)
class Step:
    """One control step."""

    index: int
    """Counts from 0."""

    observation: Observation
    """What the action was decided on."""

    requested: np.ndarray
    """What the driver asked for, shape ``(action_size,)``."""

    receipt: Receipt
    """What was really sent, and why it differs."""

    next_observation: Observation
    """What was seen afterwards."""

    score: Score
    """How the task stands afterwards."""


@dataclass(frozen=True)
class EpisodeResult:
    """How an episode ended."""

    task: str
    """The task's name."""

    seed: int
    """Of the reset distribution and of the driver."""

    success: bool
    """The goal was reached at some step."""

    ending: Ending
    """Why it ended."""

    steps: int
    """Control steps taken."""

    success_step: int | None = None
    """The first step after which the goal was reached."""

    total_reward: float = 0.0
    """Sum of the steps' rewards."""

    milestones: dict[str, int | None] = field(default_factory=dict)
    """For each milestone the first step after which it held."""

    interventions: int = 0
    """Steps at which something else was sent than asked for."""

    overruns: int = 0
    """Control deadlines that were missed."""

    duration_s: float = 0.0
    """On the episode's clock [s]."""


@runtime_checkable
class Subscriber(Protocol):
    """Listens to the control loop: a recorder, a viewer, a latency meter, a safety log."""

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """An episode begins."""
        ...

    def on_step(self, step: Step) -> None:
        """One control step is done."""
        ...

    def on_end(self, result: EpisodeResult | None) -> None:
        """The episode is over; ``None`` when it broke off and must not count."""
        ...
