"""How many trials show which difference: exact power of the tests with a fixed number and of the sequential ones.

Error rates and power are computed, not simulated. "Trials" are trials of each policy, which is pairs for the sequential
tests. Power means the probability of calling the policy better that is better.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.evaluation.statistics.barnard_regions import N_MOST
from robot_stack.evaluation.statistics.nuisance import Array, arcsine_grid, binomial_rows, maximum
from robot_stack.evaluation.statistics.operating import pair_law
from robot_stack.evaluation.statistics.sequential import Alternative, check_alpha
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard
from robot_stack.evaluation.statistics.two_by_two import (
    conditional_weights,
    fisher_tails,
    pooled_z,
    rejection_by_total,
)

FixedTest = Literal["barnard", "boschloo", "fisher"]
"""Tests with a fixed number of trials."""

FIXED_MOST = 1500
"""Largest number of trials of each policy in a search."""


@dataclass(frozen=True)
class TrialsNeeded:
    """The smallest number of trials of each policy that is enough."""

    trials: int
    """Of each policy; the largest number for a sequential test."""

    power: float
    """Reached with it; a little above what was asked for."""

    expected: float
    """Mean number of trials of each policy if the rates are as supposed; ``trials`` without early stopping."""

    test: str
    """Which test."""

    def __str__(self) -> str:
        early = "" if self.expected == self.trials else f", {self.expected:.0f} on average"
        return f"{self.test}: {self.trials} trials of each policy{early}, power {self.power:.1%}"


def rejection_region(
    test: FixedTest, first_trials: int, second_trials: int, alpha: float, alternative: Alternative = "second_better"
) -> NDArray[np.bool_]:
    """The tables (successes of the first, of the second) at which "second better" is said; shape (n0+1, n1+1).

    Args:
        test: which test.
        first_trials: of the first policy.
        second_trials: of the second policy.
        alpha: error rate.
        alternative: two-sided means alpha / 2 here; ``"first_better"`` never says this.
    """
    check_alpha(alpha)
    require_name("test", test, ("barnard", "boschloo", "fisher"))
    if alternative == "first_better":
        return np.zeros((first_trials + 1, second_trials + 1), dtype=bool)
    return _region(test, first_trials, second_trials, alpha / 2 if alternative == "two_sided" else alpha)


def fixed_power(
    test: FixedTest,
    first: float,
    second: float,
    trials: int,
    alpha: float = 0.05,
    alternative: Alternative = "two_sided",
) -> float:
    """Probability that the test calls the second policy better.

    Args:
        test: which test.
        first: success rate of the first policy.
        second: success rate of the second policy.
        trials: of each policy.
        alpha: error rate.
        alternative: two-sided means alpha / 2 for each direction.
    """
    region = rejection_region(test, trials, trials, alpha, alternative)
    a, b = binomial_rows(trials, np.array([first, second]))
    return float(a @ region @ b)


def fixed_trials(
    test: FixedTest,
    first: float,
    second: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: Alternative = "two_sided",
) -> TrialsNeeded:
    """The smallest number of trials of each policy with which the test has this power.

    Power is not quite monotone in the number of trials; this is the first number that reaches it.

    Raises:
        ConfigError: if the rates do not differ in the direction looked for, or more than 1,500 trials are needed.
    """
    first, second, alternative = _oriented(first, second, power, alternative)

    def reached(n: int) -> bool:
        return fixed_power(test, first, second, n, alpha, alternative) >= power

    guess = int(_normal_trials(first, second, power, alpha, alternative))
    found = _smallest(reached, guess, FIXED_MOST) or FIXED_MOST + 1
    n = max(1, found - max(8, found // 20))  # power goes up in a saw-tooth: the first to reach it may come earlier
    while n < found and not reached(n):
        n += 1
    if n > FIXED_MOST:
        raise _too_many(first, second, FIXED_MOST)
    return TrialsNeeded(n, fixed_power(test, first, second, n, alpha, alternative), float(n), test)


def sequential_trials(
    first: float,
    second: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: Alternative = "two_sided",
    spending: float = 1.0,
) -> TrialsNeeded:
    """The smallest ``n_max`` with which the sequential Barnard test has this power, and the pairs it takes on average.

    Raises:
        ConfigError: if the rates do not differ in the direction looked for, or more than 1,000 pairs are needed.
    """
    first, second, alternative = _oriented(first, second, power, alternative)

    def operating_at(n: int) -> Any:
        return SequentialBarnard(n, alpha, alternative, spending).operating(pair_law(first, second))

    guess = _normal_trials(first, second, power, alpha, alternative)
    n = _smallest(lambda n: operating_at(n).second_better >= power, int(1.2 * guess), N_MOST)
    if n is None:
        raise _too_many(first, second, N_MOST)
    result = operating_at(n)
    return TrialsNeeded(n, result.second_better, result.expected_pairs, "sequential Barnard")


def detectable(
    power_at: Callable[[float], float], first: float, *, power: float = 0.8, higher: bool = True
) -> float | None:
    """The success rate nearest to that of the first policy that is told from it with this power.

    Usage: ``detectable(lambda p: fixed_power("barnard", 0.5, p, 50), 0.5)``.

    Args:
        power_at: power as a function of the second policy's success rate.
        first: success rate of the first policy.
        power: wanted.
        higher: look above ``first``; else below.

    Returns:
        The rate, right to 1e-4, or ``None`` if even the extreme rate is not told with this power.
    """
    _check_power(power)
    end = 1.0 if higher else 0.0
    if power_at(end) < power:
        return None
    root: Any = optimize.brentq(lambda p: power_at(p) - power, first, end, xtol=1e-5)
    return float(root)


def peeking_thresholds(n_max: int, alpha: float, every: int = 1) -> NDArray[np.int16]:
    """What peeking does: Barnard's one-sided test at level alpha after every so many pairs, as if it were the only one.

    For :func:`.operating.operating`, to see by how much its error rate exceeds alpha.
    """
    thresholds = np.tile((np.arange(n_max + 1) + 1)[:, None], (1, n_max + 1)).astype(np.int16)
    for t in range(every, n_max + 1, every):
        thresholds[t, : t + 1] = t + 1 - rejection_region("barnard", t, t, alpha).sum(axis=1)
    return thresholds


@functools.lru_cache(maxsize=256)
def _region(test: FixedTest, n0: int, n1: int, alpha: float) -> NDArray[np.bool_]:
    """The region of a one-sided test; the largest threshold of the statistic that keeps alpha."""
    if test == "fisher":
        return fisher_tails(n0, n1) <= alpha * (1 + 1e-12)
    extreme = pooled_z(n0, n1) if test == "barnard" else -np.log(np.maximum(fisher_tails(n0, n1), 1e-300))
    extreme = np.round(extreme, 9)
    weights = conditional_weights(n0, n1)
    rows = binomial_rows(n0 + n1, arcsine_grid(16 * int(np.sqrt(n0 + n1 + 1)) + 33))
    levels = np.unique(extreme)

    def coefficients(index: int) -> Array:
        return rejection_by_total(extreme >= levels[index], weights)

    low, high = 0, len(levels)  # levels[high:] keep alpha on the grid, levels[low] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if (rows @ coefficients(middle)).max() <= alpha else (middle, high)
    while high < len(levels) and maximum(coefficients(high)) > alpha * (1 + 1e-9):  # between the points of the grid
        high += 1
    return extreme >= levels[high] if high < len(levels) else np.zeros(extreme.shape, dtype=bool)


def _smallest(enough: Callable[[int], bool], guess: int, most: int) -> int | None:
    """The smallest number that is enough, if being enough is monotone."""
    high = min(max(2, guess), most)
    while not enough(high):
        if high == most:
            return None
        high = min(most, int(high * 1.3) + 1)
    low = high
    while low > 1 and enough(low):
        high, low = low, int(low / 1.3)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _normal_trials(first: float, second: float, power: float, alpha: float, alternative: Alternative) -> float:
    """Trials of each policy by the normal approximation: where a search begins."""
    tail = alpha / 2 if alternative == "two_sided" else alpha
    z = -float(special.ndtri(tail)) + float(special.ndtri(power))
    spread: Array | float = first * (1 - first) + second * (1 - second)
    return min(1e6, max(2.0, z * z * max(float(spread), 0.02) / (second - first) ** 2))


def _oriented(first: float, second: float, power: float, alternative: Alternative) -> tuple[float, float, Alternative]:
    """The same question with the better policy second."""
    pair_law(first, second)
    _check_power(power)
    if first == second or (alternative != "two_sided" and (alternative == "second_better") != (second > first)):
        raise ConfigError(
            "these success rates do not differ in the direction that is looked for", got=(first, second, alternative)
        )
    if second > first:
        return first, second, alternative
    return second, first, "two_sided" if alternative == "two_sided" else "second_better"


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise ConfigError("the power is out of range", got=power, expected="between 0 and 1, e.g. 0.8")


def _too_many(first: float, second: float, most: int) -> ConfigError:
    return ConfigError(
        f"more than {most} trials of each policy are needed",
        got=f"{first:g} against {second:g}",
        remedy="look for a larger difference, or compare on equal initial conditions",
    )
