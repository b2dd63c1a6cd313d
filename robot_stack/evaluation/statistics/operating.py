"""How a sequential test of success behaves under given success rates, computed exactly.

The joint distribution of both policies' counts is carried forward pair by pair and what lies in a region is taken out:
no simulation. Outcomes of a pair may be correlated, as they are when both policies start from the same initial
condition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.nuisance import Array


@dataclass(frozen=True)
class PairLaw:
    """Probabilities of the four outcomes of a pair."""

    neither: float
    """Both fail."""

    second_only: float
    """Only the second policy succeeds."""

    first_only: float
    """Only the first policy succeeds."""

    both: float
    """Both succeed."""


@dataclass(frozen=True)
class Operating:
    """What a sequential test does under one law of the outcomes."""

    second_better: float
    """Probability of calling the second policy better."""

    first_better: float
    """Probability of calling the first policy better."""

    expected_pairs: float
    """Mean number of pairs until it stops, undecided trials counted with ``n_max``."""

    decided_by: NDArray[np.float64]
    """Probability of any decision by pair t; shape (n_max+1,)."""

    @property
    def decided(self) -> float:
        """Probability of any decision."""
        return self.second_better + self.first_better

    def pairs_for(self, power: float) -> int | None:
        """Pairs after which a decision has fallen with this probability; ``None`` if never."""
        enough = np.flatnonzero(self.decided_by >= power)
        return int(enough[0]) if len(enough) else None

    def __str__(self) -> str:
        return (
            f"second better {self.second_better:.4f}, first better {self.first_better:.4f}, "
            f"{self.expected_pairs:.1f} pairs on average"
        )


def pair_law(first: float, second: float, correlation: float = 0.0) -> PairLaw:
    """Outcomes of a pair with these success rates.

    Args:
        first: success rate of the first policy.
        second: success rate of the second policy.
        correlation: of the two outcomes (phi coefficient).

    Raises:
        ConfigError: if a rate lies outside [0, 1], or no such correlation is possible with these rates.
    """
    for rate in (first, second):
        if not 0 <= rate <= 1:
            raise ConfigError("a success rate is out of range", got=rate, expected="0 to 1")
    both = first * second + correlation * math.sqrt(first * (1 - first) * second * (1 - second))
    cells = (1 - first - second + both, second - both, first - both, both)
    if not (abs(correlation) <= 1 and min(cells) >= -1e-12):
        raise ConfigError("this correlation is impossible with these rates", got=(first, second, correlation))
    return PairLaw(*(max(0.0, c) for c in cells))


def operating(second_better: NDArray[np.int16], first_better: NDArray[np.int16] | None, law: PairLaw) -> Operating:
    """Follow the trial pair by pair.

    Args:
        second_better: thresholds as in :class:`.barnard_regions.Regions`; larger than t for never.
        first_better: the same for the opposite direction, roles exchanged; ``None`` for a one-sided test.
        law: probabilities of the outcomes of a pair.
    """
    n_max = len(second_better) - 1
    mass, stopped = np.ones((1, 1)), np.zeros((2, n_max + 1))
    for t in range(1, n_max + 1):
        mass = _one_more_pair(mass, law)
        counts = np.arange(t + 1)
        for side, thresholds in enumerate((second_better, first_better)):
            if thresholds is None:
                continue
            region = counts[None, :] >= thresholds[t, : t + 1, None]
            region = region.T if side else region
            stopped[side, t] = mass[region].sum()
            mass[region] = 0.0
    decided = stopped.sum(axis=0)
    expected = float(np.arange(n_max + 1) @ decided + n_max * (1 - decided.sum()))
    return Operating(float(stopped[0].sum()), float(stopped[1].sum()), expected, decided.cumsum())


def _one_more_pair(mass: Array, law: PairLaw) -> Array:
    after = np.zeros((len(mass) + 1, len(mass) + 1))
    after[:-1, :-1] += law.neither * mass
    after[:-1, 1:] += law.second_only * mass
    after[1:, :-1] += law.first_only * mass
    after[1:, 1:] += law.both * mass
    return after
