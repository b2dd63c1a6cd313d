"""The rule that never stops early: one exact test when all trials are done."""

from __future__ import annotations

import functools
from dataclasses import dataclass

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
class FixedNumber:
    """Boschloo's exact test in both directions, each at half the error rate, after ``trials`` pairs.

    R. D. Boschloo, "Raised conditional level of significance for the 2x2 table when testing the equality of two
    probabilities", Statistica Neerlandica 24, 1970.
    """

    trials: int
    """Pairs after which the one test is made."""

    alpha: float = 0.05
    """Chance of calling either of two equal policies better."""

    alternative: Alternative = "two_sided"
    """Both directions."""

    def __post_init__(self) -> None:
        check_rule(self.alpha, self.alternative, self.trials)

    @property
    def n_max(self) -> int | None:
        """Pairs after which it stops."""
        return self.trials

    def start(self) -> SequentialState:
        """The state before the first pair."""
        return SequentialState(numbers=(0.0, 0.0, 1.0))

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """The state after one more pair of outcomes, each 0 or 1."""
        one, other = success(first), success(second)
        if state.stopped:
            return overrun(state)
        a, b = int(state.numbers[0]) + one, int(state.numbers[1]) + other
        if state.pairs + 1 < self.trials:
            return advance(state, Decision.CONTINUE, (a, b, 1.0), self.trials)
        p_value = _smaller_p(a, b, self.trials)
        better = Decision.SECOND_BETTER if b > a else Decision.FIRST_BETTER
        decision = better if p_value <= self.alpha / 2 and a != b else Decision.UNDECIDED
        return advance(state, decision, (a, b, p_value), self.trials)

    def describe(self, state: SequentialState) -> str:
        """The decision and the evidence."""
        a, b, p_value = state.numbers
        if not state.stopped:
            return f"{state.pairs} of {self.trials} pairs: one test will be made at the end"
        counts = f"{a:g} and {b:g} successes of {self.trials}"
        return f"{counts}: one-sided p = {p_value:.3g} (Boschloo), to be at most {self.alpha / 2:.3g}"


@functools.lru_cache(maxsize=100_000)
def _smaller_p(first: int, second: int, trials: int) -> float:
    """One-sided p-value in the direction that the counts suggest."""
    if first == second:
        return 1.0
    from scipy.stats import boschloo_exact

    low, high = sorted((first, second))
    table = [[low, high], [trials - low, trials - high]]
    return float(boschloo_exact(table, alternative="less", n=128).pvalue)
