"""What is believed of a policy after its trials, and how probable it is that one is better than another.

A success rate has a Beta posterior. A score with a few possible values (milestones) has a Dirichlet posterior over
their frequencies, and with it one over the mean score. Priors are uniform unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.statistics.nuisance import Array
from robot_stack.evaluation.statistics.p_value import Counts

_STEP = 0.1
"""Of the trapezoidal rule in DirichletMean."""


@dataclass(frozen=True)
class BetaPosterior:
    """Belief about a success rate."""

    a: float
    """First parameter: prior plus successes."""

    b: float
    """Second parameter: prior plus failures."""

    def __post_init__(self) -> None:
        if not (0 < self.a < math.inf and 0 < self.b < math.inf):
            raise ConfigError("a Beta distribution needs two positive numbers", got=(self.a, self.b))

    @property
    def mean(self) -> float:
        """Mean of the rate."""
        return self.a / (self.a + self.b)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds the rate with this probability."""
        _check_confidence(confidence)
        tail = (1 - confidence) / 2
        return tuple(float(special.betaincinv(self.a, self.b, q)) for q in (tail, 1 - tail))  # pyright: ignore

    def density(self, rates: Array) -> Array:
        """Density at these rates, for violins."""
        p = np.asarray(rates, dtype=np.float64)
        log_density = special.xlogy(self.a - 1, p) + special.xlog1py(self.b - 1, -p) - special.betaln(self.a, self.b)
        return np.exp(log_density)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"Beta({self.a:g}, {self.b:g}): mean {self.mean:.1%}, 95% in [{low:.1%}, {high:.1%}]"


def beta_posterior(counts: Counts, prior: tuple[float, float] = (1.0, 1.0)) -> BetaPosterior:
    """Belief about a success rate after these trials.

    Args:
        counts: successes and trials.
        prior: parameters of the Beta prior; (1, 1) is uniform, (1/2, 1/2) is Jeffreys'.
    """
    return BetaPosterior(prior[0] + counts.successes, prior[1] + counts.trials - counts.successes)


def probability_second_better(first: BetaPosterior, second: BetaPosterior) -> float:
    """Probability that the second rate is larger, with independent Beta posteriors.

    With whole parameters it is a finite sum of positive terms (E. Miller, "Formulas for Bayesian A/B testing", 2015),
    summed in logarithms: about 10 digits at 10,000 trials each. Otherwise by quadrature, to about 1e-9.
    """
    for swap, x, y in ((False, first, second), (True, second, first)):  # the sum runs over the parameter of y
        if y.a == round(y.a) and y.a <= 1e6:
            return _finite_sum(x, y) if not swap else 1 - _finite_sum(x, y)
        if y.b == round(y.b) and y.b <= 1e6:
            less = _finite_sum(BetaPosterior(x.b, x.a), BetaPosterior(y.b, y.a))
            return 1 - less if not swap else less
    return _by_quadrature(first, second)


def _finite_sum(x: BetaPosterior, y: BetaPosterior) -> float:
    """P(y > x) if y.a is whole: sum over i < y.a of B(x.a + i, x.b + y.b) / ((y.b + i) B(1 + i, y.b) B(x.a, x.b))."""
    i = np.arange(int(y.a))
    terms = special.betaln(x.a + i, x.b + y.b) - np.log(y.b + i) - special.betaln(1.0 + i, y.b)
    return min(1.0, float(np.exp(special.logsumexp(terms) - special.betaln(x.a, x.b))))


def _by_quadrature(x: BetaPosterior, y: BetaPosterior) -> float:
    """P(y > x) by Gauss-Legendre over quantiles of x, where the integrand is bounded."""
    node, weight = special.roots_legendre(400)
    angle = (node + 1) * math.pi / 4
    level = np.sin(angle) ** 2  # more nodes at the ends
    at = special.betaincinv(x.a, x.b, level)
    return float((special.betaincc(y.a, y.b, at) * np.sin(2 * angle)) @ weight * math.pi / 4)


@dataclass(frozen=True)
class DirichletMean:
    """Belief about the mean of a score that takes a few values."""

    values: tuple[float, ...]
    """The possible scores, at least two, ascending."""

    weights: tuple[float, ...]
    """Parameters of the Dirichlet posterior: prior plus how often each score was seen."""

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.values, self.values[1:], strict=False))
        if len(self.values) < 2 or len(self.values) != len(self.weights) or not ascending:
            raise ConfigError("scores need at least two different ascending values", got=self.values)
        if not all(0 < w < math.inf for w in self.weights):
            raise ConfigError("a Dirichlet distribution needs positive numbers", got=self.weights)

    @property
    def mean(self) -> float:
        """Mean of the mean score."""
        return float(np.dot(self.values, self.weights) / sum(self.weights))

    @property
    def deviation(self) -> float:
        """Standard deviation of the mean score."""
        total = sum(self.weights)
        spread = np.dot((np.array(self.values) - self.mean) ** 2, self.weights) / total
        return math.sqrt(float(spread) / (total + 1))

    def cumulative(self, mean_score: float) -> float:
        """Probability that the mean score is at most this.

        The mean is a ratio of sums of Gamma variables, so this is the probability that a weighted sum of them is
        negative: inversion of its characteristic function as by J. P. Imhof, "Computing the distribution of quadratic
        forms in normal variables", Biometrika 48, 1961.
        """
        if mean_score <= self.values[0]:
            return 0.0
        if mean_score >= self.values[-1]:
            return 1.0
        gap, weights = np.array(self.values) - mean_score, np.array(self.weights)
        sizes = np.abs(gap[gap != 0])
        # On a logarithmic scale the integrand is analytic and dies away at both ends, where the trapezoidal rule
        # converges exponentially; 45 is where e^-45 is lost in rounding.
        log_u = np.arange(-math.log(float(weights @ np.abs(gap))) - 40, 45 - math.log(sizes.min()), _STEP)
        scaled = np.exp(log_u)[:, None] * gap
        damping = np.exp(-0.5 * np.log1p(scaled**2) @ weights)
        total = float(damping @ np.sin(np.arctan(scaled) @ weights)) * _STEP
        return min(1.0, max(0.0, 0.5 - total / math.pi))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds the mean score with this probability."""
        _check_confidence(confidence)
        tail = (1 - confidence) / 2
        return self._quantile(tail), self._quantile(1 - tail)

    def density(self, scores: Array) -> Array:
        """Density at these mean scores, for violins; by differences of the distribution."""
        step = (self.values[-1] - self.values[0]) * 1e-4
        up, down = (np.array([self.cumulative(s + d) for s in scores]) for d in (step, -step))
        return np.maximum(up - down, 0.0) / (2 * step)

    def probability_above(self, other: DirichletMean, points: int = 801) -> float:
        """Probability that this mean score is larger than an independent other one; to about 1e-5."""
        low = min(self.values[0], other.values[0])
        high = max(self.values[-1], other.values[-1])
        grid = np.linspace(low, high, points)
        mine, theirs = (np.array([d.cumulative(s) for s in grid]) for d in (self, other))
        return float(np.diff(mine) @ (theirs[1:] + theirs[:-1]) / 2)

    def _quantile(self, level: float) -> float:
        root: Any = optimize.brentq(lambda s: self.cumulative(s) - level, self.values[0], self.values[-1], xtol=1e-10)
        return float(root)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"mean score {self.mean:.3f}, 95% in [{low:.3f}, {high:.3f}]"


def dirichlet_mean(scores: Sequence[float], values: Sequence[float], prior: float = 1.0) -> DirichletMean:
    """Belief about the mean score after these trials.

    Args:
        scores: one of ``values`` for each trial.
        values: every possible score, for instance milestones reached over all milestones.
        prior: pseudo-count of every value; 1 is uniform.

    Raises:
        ShapeError: if a score is not one of the values.
    """
    support = np.array(sorted(set(values)), dtype=np.float64)
    seen = np.asarray(scores, dtype=np.float64)
    nearest = np.abs(seen[:, None] - support[None, :]).argmin(axis=1) if len(seen) else np.zeros(0, dtype=np.int64)
    wrong = np.flatnonzero(~np.isclose(seen, support[nearest], rtol=0, atol=1e-9)) if len(seen) else []
    if len(wrong):
        raise ShapeError("a score is not one of the possible values", got=float(seen[wrong[0]]), expected=tuple(values))
    counts = np.bincount(nearest, minlength=len(support))
    return DirichletMean(tuple(support.tolist()), tuple((counts + prior).tolist()))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigError("the confidence is out of range", got=confidence, expected="between 0 and 1, e.g. 0.95")
