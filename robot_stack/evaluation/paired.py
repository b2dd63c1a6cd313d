"""Two drivers on equal seeds: every start is tried by both, so that luck with the starts cancels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.intervals import normal_quantile, wilson


@dataclass(frozen=True)
class PairedTable:
    """Outcomes of two drivers on the same starts."""

    both: int
    """Starts on which both succeeded."""

    first_only: int
    """Starts on which only the first succeeded."""

    second_only: int
    """Starts on which only the second succeeded."""

    neither: int
    """Starts on which both failed."""

    @property
    def pairs(self) -> int:
        """How many starts."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float:
        """Success rate of the first minus that of the second; 0 without pairs."""
        return (self.first_only - self.second_only) / max(1, self.pairs)


@dataclass(frozen=True)
class Difference:
    """A difference (first minus second) and its two-sided interval."""

    value: float
    """The observed difference."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""

    confidence: float = 0.95
    """Of the interval."""

    method: str = "tango"
    """How the interval was made."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_table(first: Sequence[bool], second: Sequence[bool]) -> PairedTable:
    """Count the pairs.

    Args:
        first: successes of the first driver, one for each start.
        second: successes of the second driver on the same starts, in the same order.
    """
    if len(first) != len(second):
        raise ShapeError("paired outcomes differ in number", got=(len(first), len(second)))
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    return PairedTable(int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))


def mcnemar(table: PairedTable, *, mid: bool = False) -> float:
    """Two-sided p-value of "both succeed equally often", conditional on the starts where they differ.

    Exact: Q. McNemar, Psychometrika 12, 1947, with the binomial distribution. With ``mid``, half the probability of
    the observed table is left out, which is less conservative and keeps its level in practice: M. W. Fagerland,
    S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data", BMC Med. Res. Methodol. 13:91, 2013.

    Args:
        table: the counts.
        mid: take the mid-p-value.
    """
    few, n = min(table.first_only, table.second_only), table.first_only + table.second_only
    if n == 0:
        return 1.0
    two_tails = 2 * float(special.bdtr(few, n, 0.5))
    if mid:
        two_tails -= math.comb(n, few) * 0.5**n
    return min(1.0, two_tails)


def tango(table: PairedTable, confidence: float = 0.95) -> Difference:
    """Score interval for the difference of paired success rates.

    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17, 1998. Recommended by Fagerland, Lydersen and Laake, "Recommended tests and
    confidence intervals for paired binomial proportions", Statistics in Medicine 33, 2014.
    """
    value = table.difference
    if table.pairs == 0:
        return Difference(0.0, -1.0, 1.0, confidence, "tango")
    z, edge = normal_quantile(confidence), 1 - 1e-12

    def end(sign: float, bound: float) -> float:
        if abs(value) >= edge and sign * value > 0:
            return bound
        root: Any = optimize.brentq(lambda d: _tango_score(table, d) + sign * z, value, bound * edge, xtol=1e-12)
        return float(root)

    return Difference(value, end(-1.0, -1.0), end(1.0, 1.0), confidence, "tango")


def _tango_score(table: PairedTable, difference: float) -> float:
    """How many standard errors the observed difference lies above ``difference``, were that the true one."""
    n, b, c, d = table.pairs, table.first_only, table.second_only, difference
    a2, b2, c2 = 2.0 * n, -b - c + (2 * n - b + c) * d, -c * d * (1 - d)
    q = (math.sqrt(max(0.0, b2 * b2 - 4 * a2 * c2)) - b2) / (2 * a2)  # second only, most likely given d
    variance = n * (2 * q + d * (1 - d))
    gap = b - c - n * d
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def newcombe(table: PairedTable, confidence: float = 0.95) -> Difference:
    """Square-and-add interval from two Wilson intervals and the correlation of the pairs; no iteration.

    Method 10 of R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 17, 1998.
    """
    n = table.pairs
    if n == 0:
        return Difference(0.0, -1.0, 1.0, confidence, "newcombe")
    first = wilson(table.both + table.first_only, n, confidence)
    second = wilson(table.both + table.second_only, n, confidence)
    phi = _phi(table)
    down, up = (first.rate - first.low, second.high - second.rate), (first.high - first.rate, second.rate - second.low)
    value = table.difference
    low = value - math.sqrt(max(0.0, down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2))
    high = value + math.sqrt(max(0.0, up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2))
    return Difference(value, low, high, confidence, "newcombe")


def _phi(table: PairedTable) -> float:
    """Newcombe's correlation: the phi coefficient, with a continuity correction when it is positive."""
    a, b, c, d = table.both, table.first_only, table.second_only, table.neither
    product = math.sqrt(float(a + b) * (c + d) * (a + c) * (b + d))
    if product == 0:
        return 0.0
    determinant = a * d - b * c
    if determinant > 0:
        determinant = max(determinant - table.pairs / 2, 0)
    return determinant / product


def bootstrap(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Interval for the mean difference of paired numbers (rewards, steps), without assuming a distribution.

    Bias-corrected and accelerated: B. Efron, "Better bootstrap confidence intervals", JASA 82, 1987. Pairs are drawn
    together. Equal arguments give equal intervals.

    Args:
        first: one number for each start.
        second: the other driver's numbers on the same starts, in the same order.
        confidence: of the interval.
        resamples: how many.
        seed: of the draws.

    Raises:
        ConfigError: if there are fewer than two pairs.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n = len(differences)
    if n < 2:
        raise ConfigError("a bootstrap needs at least two pairs", got=n)
    value = float(differences.mean())
    if np.ptp(differences) == 0:
        return Difference(value, value, value, confidence, "bootstrap")
    rng = generator(seed)
    means = np.concatenate(
        [differences[rng.integers(0, n, (min(500, resamples - i), n))].mean(1) for i in range(0, resamples, 500)]
    )
    below = (np.sum(means < value) + 0.5 * np.sum(means == value)) / len(means)
    bias = float(special.ndtri(np.clip(below, 1 / len(means), 1 - 1 / len(means))))
    left_out = (differences.sum() - differences) / (n - 1)
    spread = left_out.mean() - left_out
    acceleration = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    z = normal_quantile(confidence)
    ends = [special.ndtr(bias + (bias + s) / (1 - acceleration * (bias + s))) for s in (-z, z)]
    low, high = np.quantile(means, ends)
    return Difference(value, float(low), float(high), confidence, "bootstrap")
