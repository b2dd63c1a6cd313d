"""The rule that never stops early: one exact test when all trials are done."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from robot_stack.evaluation.statistics.operating import Operating, PairLaw, operating
from robot_stack.evaluation.statistics.p_value import Counts
from robot_stack.evaluation.statistics.power import rejection_region
from robot_stack.evaluation.statistics.sequential import (
    Alternative,
    Decision,
    SequentialState,
    advance,
    check_rule,
    overrun,
    success,
)
from robot_stack.evaluation.statistics.two_by_two import boschloo


@dataclass(frozen=True)
class FixedNumber:
    """Boschloo's exact test in both directions, each at half the error rate, after ``trials`` pairs.

    R. D. Boschloo, "Raised conditional level of significance for the 2 x 2-table when testing the equality of two
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
        p_value = _smaller_p(min(a, b), max(a, b), self.trials)
        better = Decision.SECOND_BETTER if b > a else Decision.FIRST_BETTER
        decision = better if p_value <= self.alpha / 2 and a != b else Decision.UNDECIDED
        return advance(state, decision, (a, b, p_value), self.trials)

    def describe(self, state: SequentialState) -> str:
        """The decision and the evidence."""
        a, b, p_value = state.numbers
        if not state.stopped:
            return f"{state.pairs} of {self.trials} pairs: one test will be made at the end"
        counts = f"first {a:g}/{self.trials}, second {b:g}/{self.trials}"
        return f"{counts}: one-sided p = {p_value:.3g} (Boschloo), to be at most {self.alpha / 2:.3g}"

    def operating(self, law: PairLaw) -> Operating:
        """Error rate and power under this law of the outcomes, exactly."""
        n = self.trials
        region = rejection_region("boschloo", n, n, self.alpha / 2)
        thresholds = np.full((n + 1, n + 1), n + 1, dtype=np.int16)
        thresholds[n] = np.where(region.any(axis=1), region.argmax(axis=1), n + 1)
        return operating(thresholds, thresholds, law)


@functools.lru_cache(maxsize=10_000)
def _smaller_p(fewer: int, more: int, trials: int) -> float:
    """One-sided p-value in the direction that the counts suggest."""
    return boschloo(Counts(fewer, trials), Counts(more, trials), "second_better").value
