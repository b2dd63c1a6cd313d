"""An interval for a success rate that may be looked at after every trial: a confidence sequence.

H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41, 1970, with a
Beta mixture: for the true rate p, the ratio of the probability of the trials under a Beta prior to that under p is a
martingale with mean 1, so it ever reaches 1/(1 - confidence) with at most that probability. The interval is the set of
rates at which it has not.
"""

from __future__ import annotations

import math
from typing import Any

from scipy import optimize, special

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.intervals import Proportion, check_counts


def anytime(
    successes: int, trials: int, confidence: float = 0.95, *, prior: tuple[float, float] = (1.0, 1.0)
) -> Proportion:
    """The interval after these trials; valid at all numbers of trials at once.

    Args:
        successes: how many succeeded.
        trials: out of how many so far.
        confidence: probability that the intervals after 1, 2, 3, … trials all hold the true rate, at least.
        prior: parameters of the Beta mixture. They decide how long the interval is, not whether it holds.

    Raises:
        ConfigError: if the counts, the confidence or the prior make no sense.
    """
    check_counts(successes, trials, confidence)
    if not (0 < prior[0] < math.inf and 0 < prior[1] < math.inf):
        raise ConfigError("a Beta prior needs two positive numbers", got=prior)
    if trials == 0:
        return Proportion(0, 0, 0.0, 0.0, 1.0, confidence, "anytime")
    failures, rate = trials - successes, successes / trials
    mixture = float(special.betaln(successes + prior[0], failures + prior[1]) - special.betaln(*prior))
    needed = -math.log1p(-confidence)

    def excess(p: float) -> float:
        own = float(special.xlogy(successes, p) + special.xlog1py(failures, -p))
        return mixture - own - needed

    low = 0.0 if successes == 0 else _root(excess, 1e-300, rate)
    high = 1.0 if failures == 0 else _root(excess, rate, 1 - 1e-16)
    return Proportion(successes, trials, rate, low, high, confidence, "anytime")


def _root(excess: Any, low: float, high: float) -> float:
    if excess(low) <= 0 and excess(high) <= 0:
        return low if low < 1e-200 else high
    root: Any = optimize.brentq(excess, low, high, xtol=1e-13)
    return float(root)
