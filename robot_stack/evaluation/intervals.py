"""Intervals for a success rate from ``successes`` out of ``trials``.

Which one: :func:`wilson` for reports (its coverage is near the nominal on average, and it is short),
:func:`clopper_pearson` where the coverage must never fall below the nominal, :func:`jeffreys` for a Bayesian reading.
Comparison of the three: Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science
16(2), 2001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from robot_stack.core.errors import ConfigError

Method = Literal["wilson", "clopper_pearson", "jeffreys", "anytime"]


@dataclass(frozen=True)
class Proportion:
    """A success rate and its two-sided interval."""

    successes: int
    """How many succeeded."""

    trials: int
    """Out of how many; may be 0, and then nothing is known."""

    rate: float
    """``successes / trials``; 0 without trials."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""

    confidence: float = 0.95
    """Of the interval."""

    method: Method = "wilson"
    """How the interval was made."""

    def __str__(self) -> str:
        return f"{self.successes}/{self.trials} = {self.rate:.0%} [{self.low:.0%}, {self.high:.0%}]"


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Proportion:
    """The score interval without continuity correction.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Raises:
        ConfigError: if the counts or the confidence make no sense.
    """
    check_counts(successes, trials, confidence)
    if trials == 0:
        return Proportion(0, 0, 0.0, 0.0, 1.0, confidence, "wilson")
    z = normal_quantile(confidence)
    rate = successes / trials
    middle = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == trials else (middle + half) / scale
    return Proportion(successes, trials, rate, low, high, confidence, "wilson")


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Proportion:
    """The exact interval: coverage is at least ``confidence`` whatever the true rate.

    C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934.

    Raises:
        ConfigError: if the counts or the confidence make no sense.
    """
    check_counts(successes, trials, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - tail))
    return Proportion(successes, trials, successes / max(1, trials), low, high, confidence, "clopper_pearson")


def jeffreys(successes: int, trials: int, confidence: float = 0.95) -> Proportion:
    """The equal-tailed interval of the posterior under Jeffreys' prior Beta(1/2, 1/2).

    The end at an observed 0 or 1 is moved to 0 or 1, as Brown, Cai and DasGupta (2001) advise.

    Raises:
        ConfigError: if the counts or the confidence make no sense.
    """
    check_counts(successes, trials, confidence)
    tail, a, b = (1 - confidence) / 2, successes + 0.5, trials - successes + 0.5
    low = 0.0 if successes == 0 else float(special.betaincinv(a, b, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(a, b, 1 - tail))
    return Proportion(successes, trials, successes / max(1, trials), low, high, confidence, "jeffreys")


def normal_quantile(confidence: float) -> float:
    """How many standard deviations a two-sided interval of this confidence reaches."""
    return float(special.ndtri((1 + confidence) / 2))


def check_counts(successes: int, trials: int, confidence: float) -> None:
    """Refuse counts that are none and a confidence that is none.

    Raises:
        ConfigError: if the counts or the confidence make no sense.
    """
    if not 0 <= successes <= trials:
        raise ConfigError("these counts make no sense", got=f"{successes} successes out of {trials}")
    if not 0 < confidence < 1:
        raise ConfigError("the confidence is out of range", got=confidence, expected="between 0 and 1, e.g. 0.95")
