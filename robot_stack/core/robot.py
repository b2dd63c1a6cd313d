"""The contract of everything that can be driven: simulated, benchmark or real."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.core.action import Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.observation import Observation


@runtime_checkable
class Robot(Protocol):
    """One robot. Only one caller commands it; ``stop`` may be called from any thread."""

    @property
    def embodiment(self) -> Embodiment:
        """What it senses and does."""
        ...

    def reset(self, seed: int | None = None) -> Observation:
        """Bring it to the start of an episode; equal seeds give equal starts where the robot allows."""
        ...

    def observe(self) -> Observation:
        """The newest observation; never blocks longer than one control period."""
        ...

    def command(self, action: np.ndarray) -> Receipt:
        """Apply one action for one control period (a simulator advances by one period).

        Args:
            action: physical units, shape ``(action_size,)``.

        Raises:
            ShapeError: if the action has another shape.
        """
        ...

    def stop(self, reason: str) -> None:
        """Come to a safe rest; idempotent, never raises."""
        ...

    def close(self) -> None:
        """Release the robot; idempotent."""
        ...
