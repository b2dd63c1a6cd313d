"""What should not matter and may: order, time, station and evaluator; and whether two judges agree.

The order of policies within blocks was drawn at random, so its effect is tested by drawing it again: a randomisation
test that assumes nothing (R. A. Fisher, "The Design of Experiments", 1935).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.seeding import generator
from robot_stack.evaluation.intervals import Proportion, wilson

DRAWS = 4000
"""Random arrangements that an observed one is compared with."""


@dataclass(frozen=True)
class Effect:
    """Whether a nuisance mattered."""

    name: str
    """Which: ``"place in the block"``."""

    levels: tuple[str, ...]
    """Its values."""

    rates: tuple[Proportion, ...]
    """Success at each, over all policies."""

    p_value: float | None
    """Chance of rates so far apart if it did not matter; ``None`` with a single level."""


def place_effect(outcomes: np.ndarray, arms: np.ndarray, seed: int = 0) -> Effect:
    """Success by place within the block, each policy compared with itself.

    Args:
        outcomes: 0 or 1, shape ``(blocks, places)``, in the order of places.
        arms: number of the policy in each place, same shape.
        seed: of the draws.
    """
    blocks, places = outcomes.shape
    rates = tuple(wilson(int(n), blocks) for n in outcomes.sum(axis=0))
    levels = tuple(f"{i + 1}." for i in range(places))
    means = np.array([outcomes[arms == arm].mean() for arm in range(places)])
    rest = outcomes - means[arms]  # what remains of success when the policy is taken out; drawing again keeps it
    rng = generator(seed, 1)
    drawn = [_spread(rng.permuted(rest, axis=1).sum(axis=0)) for _ in range(DRAWS)]
    return Effect("place in the block", levels, rates, _p(_spread(rest.sum(axis=0)), drawn))


def block_effect(name: str, outcomes: np.ndarray, levels: Sequence[str], seed: int = 0) -> Effect:
    """Success by something that a whole block shares: time, station, evaluator, a stratum.

    Args:
        name: of the nuisance.
        outcomes: 0 or 1, shape ``(blocks, places)``.
        levels: of each block.
        seed: of the draws.
    """
    names = tuple(dict.fromkeys(levels))
    totals, codes = outcomes.sum(axis=1), np.array([names.index(level) for level in levels], dtype=int)
    sizes = np.bincount(codes, minlength=len(names))
    per_block = outcomes.shape[1]
    rates = tuple(wilson(int(totals[codes == i].sum()), int(size) * per_block) for i, size in enumerate(sizes))
    if len(names) < 2:
        return Effect(name, names, rates, None)
    rng = generator(seed, 2)

    def statistic(values: np.ndarray) -> float:
        sums = np.bincount(codes, weights=values, minlength=len(names))
        return float((sums**2 / sizes).sum())

    drawn = [statistic(rng.permutation(totals)) for _ in range(DRAWS)]
    return Effect(name, names, rates, _p(statistic(totals), drawn))


def cohens_kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Agreement of two judges beyond chance; ``None`` when chance alone would give full agreement.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(one) == 0:
        return None
    agreed = float((one == other).mean())
    chance = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    return None if chance >= 1.0 else (agreed - chance) / (1 - chance)


def _spread(sums: np.ndarray) -> float:
    return float(((sums - sums.mean()) ** 2).sum())


def _p(observed: float, drawn: Sequence[float]) -> float | None:
    if not drawn:
        return None
    return (1 + sum(value >= observed - 1e-9 for value in drawn)) / (1 + len(drawn))
