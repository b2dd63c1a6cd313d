"""What a test with a fixed number of trials says, and the counts it is given."""

from __future__ import annotations

from dataclasses import dataclass

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.evaluation.statistics.sequential import ALTERNATIVES, Alternative


@dataclass(frozen=True)
class Counts:
    """Successes of one policy."""

    successes: int
    """How many succeeded."""

    trials: int
    """Out of how many; may be 0, and then nothing is known."""

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials:
            raise ConfigError("these counts make no sense", got=f"{self.successes} successes out of {self.trials}")

    @property
    def rate(self) -> float:
        """Share of successes; 0 without trials."""
        return self.successes / max(1, self.trials)

    def __str__(self) -> str:
        return f"{self.successes}/{self.trials}"


@dataclass(frozen=True)
class PValue:
    """Evidence against "equally good": smaller is stronger."""

    value: float
    """Probability, if both were equally good, of evidence at least as strong, at most."""

    alternative: Alternative
    """What was looked for."""

    method: str
    """Name of the test."""

    statistic: float | None = None
    """The number that was compared, where the test has one."""

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"p = {self.value:.4g} ({self.method}, {self.alternative.replace('_', ' ')})"


def check_alternative(alternative: str) -> None:
    """Refuse a name that is no alternative.

    Raises:
        UnknownNameError: if it is none.
    """
    require_name("alternative", alternative, ALTERNATIVES)
