"""What a driver wants, and what a robot really did with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ShapeError


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """Actions for the next moments, stamped with the time they are meant for.

    Action ``k`` applies from ``start_s + k * period_s`` on.
    """

    actions: np.ndarray
    """Physical units, float64 of shape ``(steps, action_size)``; at least one step."""

    start_s: float = 0.0
    """When the first action is meant to be applied, on the episode's clock [s]."""

    period_s: float = 0.0
    """Time between actions [s]."""

    def __post_init__(self) -> None:
        if self.actions.ndim != 2 or len(self.actions) < 1:
            raise ShapeError(
                "an action chunk has the wrong shape", got=self.actions.shape, expected="(steps >= 1, size)"
            )

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Intervention:
    """One reason why the action sent differs from the action asked for."""

    reason: str
    """One of :data:`robot_stack.core.safety.REASONS`, or the robot's own word."""

    detail: str = ""
    """Which number, by how much."""


@dataclass(frozen=True, eq=False)
class Receipt:
    """What a robot really did with a command."""

    sent: np.ndarray
    """The action that reached the actuators, float64 of shape ``(action_size,)``."""

    interventions: tuple[Intervention, ...] = ()
    """Why it differs from what was asked for; empty when it does not."""

    time_s: float = 0.0
    """When it was sent, on the clock the episode runs on [s]."""
