"""Means of scores in [0, 1] by betting: intervals that hold for any distribution, and a test of the difference.

I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024. A gambler who
bets on "the scores are larger than m on average" cannot expect to win if the mean is at most m, so whoever has won
1/alpha has evidence at level alpha against every mean up to m. Two gamblers, up and down, each with half of alpha, give
an interval. It needs no distribution and no large number of trials, and holds at all times at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.statistics.nuisance import Array
from robot_stack.evaluation.statistics.sequential import (
    Alternative,
    Decision,
    SequentialState,
    advance,
    check_rule,
    overrun,
    score,
)

_CAP = 0.75
"""Share of the capital that may be lost in one trial."""

_BISECTIONS = 40


@dataclass(frozen=True)
class MeanInterval:
    """The mean of scores in [0, 1] and its two-sided interval."""

    mean: float
    """Of the scores seen; 0 without trials."""

    trials: int
    """How many."""

    low: float
    """Lower end."""

    high: float
    """Upper end."""

    confidence: float = 0.95
    """Of the interval."""

    method: str = "betting"
    """How it was made."""

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.trials} trials)"


def betting_interval(
    scores: Sequence[float] | Array, confidence: float = 0.95, *, planned: int | None = None
) -> MeanInterval:
    """Interval for the mean score.

    Args:
        scores: in [0, 1], in the order in which they came.
        confidence: at least so sure, for any distribution of independent scores with one mean.
        planned: number of trials fixed before the first one: the bets are then tuned to it, and it holds at all times
            before it too. ``None`` tunes them to no number: use this for looking again and again.

    Raises:
        ConfigError: if a score or the confidence is out of range.
    """
    x = check_scores(scores)
    _check_confidence(confidence)
    if len(x) == 0:
        return MeanInterval(0.0, 0, 0.0, 1.0, confidence)
    bets, needed = stakes(x, confidence, planned), math.log(2 / (1 - confidence))
    low = bisect_low(lambda m: float(log_capital(x, bets, m).max()) >= needed)
    high = 1 - bisect_low(lambda m: float(log_capital(1 - x, bets, m).max()) >= needed)
    mean = float(x.mean())
    return MeanInterval(mean, len(x), min(low, high), max(low, high), confidence)


def betting_sequence(scores: Sequence[float] | Array, confidence: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper ends after 1, 2, 3, … trials; all of them hold together. Time grows with the square.

    Args:
        scores: in [0, 1], in the order in which they came.
        confidence: of all intervals together.

    Returns:
        Lower and upper ends, both of shape (trials,).

    Raises:
        ConfigError: if a score or the confidence is out of range.
    """
    x = check_scores(scores)
    _check_confidence(confidence)
    bets, needed = stakes(x, confidence, None), math.log(2 / (1 - confidence))
    return _running_low(x, bets, needed), 1 - _running_low(1 - x, bets, needed)


@dataclass(frozen=True)
class PairedScores:
    """Compares the mean scores of two policies pair by pair, open-ended; a :class:`.sequential.SequentialTest`.

    Bets on the difference of the scores of a pair. The error rate holds for any distribution, and for pairs on the same
    or on different initial conditions, as long as the expected difference of every pair, given the past, is in favour
    of the same policy or zero. Sizes of bets: the growth-optimal ones for the mean and variance seen so far (aGRAPA).

    The state's numbers are: sum and sum of squares of the differences, logarithm of what was won betting on the second,
    and on the first.
    """

    alpha: float = 0.05
    """Probability of ever calling one of two equal policies better, at most."""

    alternative: Alternative = "two_sided"
    """What it looks for; two-sided means alpha / 2 for each direction."""

    n_max: int | None = None
    """Pairs after which it gives up, or ``None``; the error rate holds either way."""

    def __post_init__(self) -> None:
        check_rule(self.alpha, self.alternative, self.n_max)

    def start(self) -> SequentialState:
        """No pair yet, nothing won."""
        return SequentialState(numbers=(0.0, 0.0, 0.0, 0.0))

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """Bet on one more pair and look.

        Raises:
            ConfigError: if a score is out of range.
        """
        gap = score(second) - score(first)
        if state.stopped:
            return overrun(state)
        total, squares, up, down = state.numbers
        bet = float(growth_bet(state.pairs, total, squares))
        up += math.log1p(max(bet, 0.0) * gap)
        down += math.log1p(max(-bet, 0.0) * -gap)
        return advance(state, self._decide(up, down), (total + gap, squares + gap * gap, up, down), self.n_max)

    def describe(self, state: SequentialState) -> str:
        """The decision, the mean difference and the evidence in each direction."""
        pairs = state.decided_at or state.pairs
        total, _, up, down = state.numbers
        return (
            f"{state.decision.value.replace('_', ' ')} after {pairs} pairs: mean difference "
            f"{total / max(1, pairs):+.3f}, evidence that the second is better {math.exp(min(up, 700)):.4g}, "
            f"the first {math.exp(min(down, 700)):.4g} "
            f"(paired scores, {self.alternative.replace('_', ' ')}, alpha {self.alpha:g})"
        )

    def _decide(self, up: float, down: float) -> Decision:
        needed = -math.log(self.alpha / 2 if self.alternative == "two_sided" else self.alpha)
        if self.alternative != "first_better" and up >= needed:
            return Decision.SECOND_BETTER
        if self.alternative != "second_better" and down >= needed:
            return Decision.FIRST_BETTER
        return Decision.CONTINUE


def growth_bet(pairs: int, total: float | Array, squares: float | Array) -> Array:
    """Stake on the second policy (or, negative, on the first) that makes the capital grow fastest, as far as is known.

    Args:
        pairs: before this one.
        total: sum of their differences, any shape.
        squares: sum of the squares of their differences; one pair of mean 0 and variance 1/4 is added.

    Returns:
        At most 3/4 of the capital, of the same shape.
    """
    mean = np.asarray(total) / (pairs + 1)
    variance = np.maximum(1e-6, (np.asarray(squares) + 0.25) / (pairs + 1) - mean * mean)
    return np.clip(mean / (variance + mean * mean), -_CAP, _CAP)


def check_scores(scores: Sequence[float] | Array) -> Array:
    """Scores as an array.

    Raises:
        ConfigError: if one is not a finite number in [0, 1].
        ShapeError: if it is not a plain list.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim != 1:
        raise ShapeError("scores are not a plain list", got=x.shape, expected="(trials,)")
    wrong = np.flatnonzero(~((x >= 0) & (x <= 1)))
    if len(wrong):
        raise ConfigError(
            "a score is out of range", where=f"trial {wrong[0]}", got=float(x[wrong[0]]), expected="0 to 1"
        )
    return x


def bisect_low(rejected: Callable[[float], bool]) -> float:
    """The largest mean below which all are rejected, rounded down; 0 if none is."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def predictable_deviation(x: Array) -> Array:
    """Standard deviation estimated before each trial, one trial of mean 1/2 and variance 1/4 added.

    Args:
        x: scores, shape (..., trials).

    Returns:
        Of the same shape.
    """
    n = np.arange(1, x.shape[-1] + 1)
    means = (0.5 + np.cumsum(x, axis=-1)) / (n + 1)
    after = np.sqrt((0.25 + np.cumsum((x - means) ** 2, axis=-1)) / (n + 1))
    return np.concatenate([np.full((*x.shape[:-1], 1), 0.5), after[..., :-1]], axis=-1)


def stakes(x: Array, confidence: float, planned: int | None) -> Array:
    """Stakes from the trials before each one, the same for both gamblers; of the shape of ``x``, (..., trials)."""
    trials = x.shape[-1]
    if planned is not None and planned < trials:
        raise ConfigError("more trials than planned", got=trials, expected=f"at most {planned}")
    t = np.arange(1.0, trials + 1)
    horizon = t * np.log1p(t) if planned is None else float(planned)
    return np.sqrt(2 * math.log(2 / (1 - confidence)) / horizon) / predictable_deviation(x)


def log_capital(x: Array, bets: Array, mean: float) -> Array:
    """What the gambler who bets above ``mean`` has after each trial, in logarithms; falls as ``mean`` grows."""
    capped = np.minimum(bets, _CAP / mean) if mean > 0 else bets
    return np.cumsum(np.log1p(capped * (x - mean)), axis=-1)


def _running_low(x: Array, bets: Array, needed: float) -> Array:
    low, out = 0.0, np.zeros(len(x))
    for t in range(1, len(x) + 1):

        def rejected(m: float, seen: Array = x[:t], staked: Array = bets[:t]) -> bool:
            return float(log_capital(seen, staked, m)[-1]) >= needed

        if rejected(low + 1e-9):
            low = max(low, bisect_low(rejected))
        out[t - 1] = low
    return out


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigError("the confidence is out of range", got=confidence, expected="between 0 and 1, e.g. 0.95")
