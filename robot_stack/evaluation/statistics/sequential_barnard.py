"""The sequential Barnard test: success or failure, at most ``n_max`` pairs, a look after every pair.

One-sided, it calls the better-looking policy better with probability at most alpha if that policy is in truth no
better, whatever the success rates. Two-sided, it is both one-sided tests at alpha / 2 each. The bound holds exactly
(:mod:`.barnard_regions`) for outcomes that are independent between pairs with constant rates. Within a pair, positive
correlation (equal initial conditions) makes it conservative; negative correlation breaks it, and policies that meet
the same initial conditions are better compared with :mod:`.sequential_pairs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.evaluation.statistics.barnard_regions import N_MOST, Regions
from robot_stack.evaluation.statistics.operating import Operating, PairLaw, operating
from robot_stack.evaluation.statistics.regions_cache import cached_regions
from robot_stack.evaluation.statistics.sequential import (
    Alternative,
    Decision,
    SequentialState,
    advance,
    check_rule,
    overrun,
    success,
)


@dataclass(frozen=True)
class SequentialBarnard:
    """Compares two success rates with a look after every pair of trials; a :class:`.sequential.SequentialTest`."""

    n_max: int = 200
    """Largest number of pairs, 1 to 1000."""

    alpha: float = 0.05
    """Probability of calling one of two equal policies better, at most."""

    alternative: Alternative = "two_sided"
    """What it looks for; two-sided means alpha / 2 for each direction."""

    spending: float = 1.0
    """Exponent of the risk that may be spent by pair t; above 1 gives more power and later decisions."""

    def __post_init__(self) -> None:
        check_rule(self.alpha, self.alternative, self.n_max, n_most=N_MOST)

    @property
    def regions(self) -> Regions:
        """The regions of one direction, from the cache."""
        alpha = self.alpha / 2 if self.alternative == "two_sided" else self.alpha
        return cached_regions(self.n_max, alpha, self.spending)

    def start(self) -> SequentialState:
        """No pair yet, no successes."""
        return SequentialState(numbers=(0.0, 0.0))

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """Count one more pair and look.

        Raises:
            ConfigError: if an outcome is neither 0 nor 1.
        """
        a, b = success(first), success(second)
        if state.stopped:
            return overrun(state)
        s0, s1 = int(state.numbers[0]) + a, int(state.numbers[1]) + b
        return advance(state, self._decide(state.pairs + 1, s0, s1), (float(s0), float(s1)), self.n_max)

    def describe(self, state: SequentialState) -> str:
        """The decision and the counts it rests on."""
        pairs = state.decided_at or state.pairs
        s0, s1 = (int(x) for x in state.numbers)
        word = state.decision.value.replace("_", " ")
        return (
            f"{word} after {pairs} pairs: first {s0}/{pairs}, second {s1}/{pairs} "
            f"(sequential Barnard, {self.alternative.replace('_', ' ')}, alpha {self.alpha:g}, n_max {self.n_max})"
        )

    def operating(self, law: PairLaw) -> Operating:
        """Error rate, power and number of pairs under this law of the outcomes, exactly."""
        thresholds = self.regions.thresholds
        never = np.full_like(thresholds, self.n_max + 1)
        return operating(
            never if self.alternative == "first_better" else thresholds,
            None if self.alternative == "second_better" else thresholds,
            law,
        )

    def _decide(self, pairs: int, first: int, second: int) -> Decision:
        if self.alternative != "first_better" and self.regions.rejects(pairs, first, second):
            return Decision.SECOND_BETTER
        if self.alternative != "second_better" and self.regions.rejects(pairs, second, first):
            return Decision.FIRST_BETTER
        return Decision.CONTINUE
