"""The contract of a body that an emulator speaks for: joints that are moved by commands, and what they then measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand


class JointPlant(Protocol):
    """A simulated robot in the place of the real one, behind an emulator of its electronics."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every driven joint, in the order of all arrays."""
        ...

    @property
    def period_s(self) -> float:
        """Time that one :meth:`advance` lets pass [s]."""
        ...

    def reset(self, seed: int) -> None:
        """Go to the start that belongs to ``seed``; time and sequence begin at 0."""
        ...

    def advance(self, command: JointCommand | None) -> None:
        """Let one period pass under a command; ``None`` leaves all joints limp."""
        ...

    def read(self) -> BusState:
        """What it measures now; ``time_s`` is simulated time."""
        ...

    def tracked(self) -> Mapping[str, np.ndarray]:
        """What only a tracking system would see, by the names of the embodiment's state fields."""
        ...

    def score(self) -> tuple[float, bool, bool]:
        """Reward, success, failure of the task now."""
        ...

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        """What a camera sees, RGB uint8 of shape ``(height, width, 3)``."""
        ...
