"""Learning-rate schedules: a factor for each update."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class ScheduleConfig:
    """Linear warm-up, then a half cosine down to ``floor``, or constant."""

    kind: Literal["cosine", "constant"] = "cosine"
    """What follows the warm-up."""

    warmup_steps: int = 500
    """Updates until the factor reaches 1; at most a tenth of short runs."""

    floor: float = 0.0
    """Factor at the end of the cosine."""


class WarmupSchedule:
    """Callable schedule for a run of known length.

    Args:
        config: its shape.
        steps: length of the run.

    Raises:
        ConfigError: if a number is out of range.
    """

    def __init__(self, config: ScheduleConfig, steps: int) -> None:
        if steps < 1 or config.warmup_steps < 0 or not 0.0 <= config.floor <= 1.0:
            raise ConfigError(
                "a schedule is out of range", got=(steps, config), expected="steps >= 1, warmup_steps >= 0, floor 0..1"
            )
        self.config = config
        self.steps = steps
        self.warmup = min(config.warmup_steps, steps // 10)

    def __call__(self, step: int) -> float:
        """Factor of update ``step``, counted from 1."""
        if step <= self.warmup:
            return step / (self.warmup + 1)
        if self.config.kind == "constant":
            return 1.0
        progress = min(1.0, (step - self.warmup - 1) / max(1, self.steps - self.warmup))
        return self.config.floor + (1.0 - self.config.floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
