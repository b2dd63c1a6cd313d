"""A sequential test of success rates without a largest number of trials.

The e-process of R. J. Turner and P. D. Grünwald, "Exact anytime-valid confidence intervals for contingency tables and
beyond", Statistics & Probability Letters 198, 2023, and R. J. Turner, A. Ly and P. D. Grünwald, "Generic E-variables
for exact sequential k-sample tests that allow for optional stopping", JSPI 230, 2024, for one pair at a time. Before
each pair both rates are estimated by posterior means under Beta priors that lean towards the alternative; the evidence
is multiplied by the ratio of the likelihood of the pair under the estimates to that under their average. If the
estimates do not favour the alternative, nothing is bet.

Whatever the rates, if the second policy is no better than the first the factor has mean at most 1 given the past: with
estimates a < m < b it is the product of a decreasing function of p0 and an increasing one of p1, and is 1 on average at
p0 = p1. By Ville's inequality it ever reaches 1/alpha with probability at most alpha, so one may look and stop whenever
one likes, and go on after any number of trials. The price is power: see docs/evaluation.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_stack.core.errors import ConfigError
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
class EProcess:
    """Compares two success rates, open-ended; a :class:`.sequential.SequentialTest`.

    The state's numbers are: successes of the first, successes of the second, logarithm of the evidence that the second
    is better, and that the first is.
    """

    alpha: float = 0.05
    """Probability of ever calling one of two equal policies better, at most."""

    alternative: Alternative = "two_sided"
    """What it looks for; two-sided means alpha / 2 for each direction."""

    n_max: int | None = None
    """Pairs after which it gives up, or ``None``; the error rate holds either way."""

    weak: float = 1.0
    """Pseudo-counts that each rate has on the side the alternative does not favour."""

    strong: float = 2.0
    """Pseudo-counts that each rate has on the side the alternative favours."""

    def __post_init__(self) -> None:
        check_rule(self.alpha, self.alternative, self.n_max)
        if not 0 < self.weak <= self.strong < math.inf:
            raise ConfigError(
                "these pseudo-counts make no prior", got=(self.weak, self.strong), expected="0 < weak <= strong"
            )

    def start(self) -> SequentialState:
        """No pair yet, no evidence."""
        return SequentialState(numbers=(0.0, 0.0, 0.0, 0.0))

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """Bet on one more pair and look.

        Raises:
            ConfigError: if an outcome is neither 0 nor 1.
        """
        a, b = success(first), success(second)
        if state.stopped:
            return overrun(state)
        s0, s1, up, down = state.numbers
        up += self._log_factor(state.pairs, s0, s1, a, b)
        down += self._log_factor(state.pairs, s1, s0, b, a)
        return advance(state, self._decide(up, down), (s0 + a, s1 + b, up, down), self.n_max)

    def describe(self, state: SequentialState) -> str:
        """The decision, the counts and the evidence in each direction."""
        pairs = state.decided_at or state.pairs
        s0, s1, up, down = state.numbers
        return (
            f"{state.decision.value.replace('_', ' ')} after {pairs} pairs: first {s0:.0f}/{pairs}, "
            f"second {s1:.0f}/{pairs}, evidence that the second is better {math.exp(min(up, 700)):.4g}, "
            f"the first {math.exp(min(down, 700)):.4g} "
            f"(e-process, {self.alternative.replace('_', ' ')}, alpha {self.alpha:g})"
        )

    def _log_factor(self, pairs: int, worse: float, better: float, x: int, y: int) -> float:
        """By how much one pair multiplies the evidence that the policy with ``better`` successes is better."""
        total = pairs + self.weak + self.strong
        low, high = (self.weak + worse) / total, (self.strong + better) / total
        if high <= low:
            return 0.0
        middle = (low + high) / 2
        of_low = low / middle if x else (1 - low) / (1 - middle)
        of_high = high / middle if y else (1 - high) / (1 - middle)
        return math.log(of_low) + math.log(of_high)

    def _decide(self, up: float, down: float) -> Decision:
        needed = -math.log(self.alpha / 2 if self.alternative == "two_sided" else self.alpha)
        if self.alternative != "first_better" and up >= needed:
            return Decision.SECOND_BETTER
        if self.alternative != "second_better" and down >= needed:
            return Decision.FIRST_BETTER
        return Decision.CONTINUE
