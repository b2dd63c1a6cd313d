"""A sequential test for two policies that meet the same initial conditions: only pairs in which they differ count.

In a discordant pair exactly one policy succeeds. If the policies are equally good, it is the first or the second with
equal probability, however hard the initial condition was. So, given which pairs are discordant, the number of wins of
the second is a sum of fair coins, and the risk of stopping can be computed exactly with nothing unknown. This is
McNemar's exact test (Psychometrika 12, 1947) with a look after every pair; the risk is spent along the pairs as in
K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983.

After pair t the risk spent, given the discordances so far, may reach ``alpha (t / n_max)**spending``; the threshold is
the smallest number of wins that keeps it. A pair without discordance adds to the budget too, so a decision may fall on
one, and rare discordances do not leave risk unspent. Initial conditions may differ in difficulty, may be repeated, and
may come in any order, as long as the order does not depend on which policy is which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.nuisance import Array
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
class SequentialPairs:
    """Compares two policies on the same initial conditions; a :class:`.sequential.SequentialTest`.

    The state's numbers are: pairs that only the first won, pairs that only the second won, risk spent, and for each
    possible number of wins the probability of having come there without stopping.
    """

    n_max: int = 200
    """Largest number of pairs."""

    alpha: float = 0.05
    """Probability of calling one of two equal policies better, at most."""

    alternative: Alternative = "two_sided"
    """What it looks for; two-sided means alpha / 2 for each direction."""

    spending: float = 1.0
    """Exponent of the risk that may be spent by pair t; above 1 gives more power and later decisions."""

    def __post_init__(self) -> None:
        check_rule(self.alpha, self.alternative, self.n_max)
        if not 0.1 <= self.spending <= 10:
            raise ConfigError("the exponent of the spending is out of range", got=self.spending, expected="0.1 to 10")

    def start(self) -> SequentialState:
        """No pair yet."""
        return SequentialState(numbers=(0.0, 0.0, 0.0, 1.0))

    def budget(self, pairs: int | Array) -> float | Array:
        """Risk of one direction that may be spent by this pair."""
        alpha = self.alpha / 2 if self.alternative == "two_sided" else self.alpha
        return alpha * (pairs / self.n_max) ** self.spending

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """Count one more pair and look.

        Raises:
            ConfigError: if an outcome is neither 0 nor 1.
        """
        a, b = success(first), success(second)
        if state.stopped:
            return overrun(state)
        first_only, second_only = int(state.numbers[0]) + (a > b), int(state.numbers[1]) + (b > a)
        alive = np.array(state.numbers[3:])
        if a != b:
            alive = np.convolve(alive, (0.5, 0.5))
        threshold, spent = self._threshold(state.pairs + 1, alive, state.numbers[2])
        alive[threshold:] = 0.0
        numbers = (float(first_only), float(second_only), spent, *alive.tolist())
        return advance(state, self._decide(first_only, second_only, threshold), numbers, self.n_max)

    def describe(self, state: SequentialState) -> str:
        """The decision and the counts it rests on."""
        first_only, second_only = (int(x) for x in state.numbers[:2])
        return (
            f"{state.decision.value.replace('_', ' ')} after {state.decided_at or state.pairs} pairs: "
            f"only the first succeeded in {first_only}, only the second in {second_only} "
            f"(sequential pairs, {self.alternative.replace('_', ' ')}, alpha {self.alpha:g}, n_max {self.n_max})"
        )

    def _threshold(self, pairs: int, alive: Array, spent: float) -> tuple[int, float]:
        """Smallest number of wins that may decide, and the risk spent when it does."""
        above = np.cumsum(alive[::-1])[::-1]  # probability of so many wins or more
        discordant = len(alive) - 1
        allowed = spent + above <= float(self.budget(pairs)) * (1 + 1e-12)
        allowed &= 2 * np.arange(discordant + 1) > discordant  # never for the policy that is behind
        if not allowed.any():
            return discordant + 1, spent
        threshold = int(allowed.argmax())
        return threshold, spent + float(above[threshold])

    def _decide(self, first_only: int, second_only: int, threshold: int) -> Decision:
        if self.alternative != "first_better" and second_only >= threshold:
            return Decision.SECOND_BETTER
        if self.alternative != "second_better" and first_only >= threshold:
            return Decision.FIRST_BETTER
        return Decision.CONTINUE
