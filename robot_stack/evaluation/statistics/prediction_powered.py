"""Few real trials tightened by many simulated ones, without trusting the simulator.

Prediction-powered inference: A. N. Angelopoulos, S. Bates, C. Fannjiang, M. I. Jordan and T. Zrnic, Science 382, 2023,
with the weight of PPI++ (A. N. Angelopoulos, J. C. Duchi and T. Zrnic, arXiv 2311.01453). Some initial conditions are
run on the robot and in simulation; many more in simulation only, drawn from the same distribution. The simulated mean
estimates the real one up to a bias, and the doubly run conditions estimate the bias. A simulator that has nothing to do
with the robot costs little; one that predicts which trials succeed saves real ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.statistics.betting import (
    MeanInterval,
    betting_interval,
    bisect_low,
    check_scores,
    predictable_deviation,
)
from robot_stack.evaluation.statistics.nuisance import Array

_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SIM_SHARE = 0.1
_CAP = 0.75


@dataclass(frozen=True)
class PredictionPowered:
    """The mean real score from real and simulated trials."""

    mean: float
    """Estimate of the mean real score."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""

    confidence: float
    """Of the interval."""

    weight: float
    """How much the simulator is listened to: 0 not at all, 1 fully."""

    correlation: float
    """Of real and simulated scores on the same initial conditions; 0 if one of them never varies."""

    saved: float
    """Share of the real trials that the simulator saved: 0.2 means that a fifth more would be needed without it."""

    def __str__(self) -> str:
        return (
            f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}], weight of the simulator {self.weight:.2f}, "
            f"correlation {self.correlation:.2f}, as good as {1 / max(1e-9, 1 - self.saved):.2f} times the real trials"
        )


def ppi_mean(
    real: Sequence[float] | Array,
    paired: Sequence[float] | Array,
    simulated: Sequence[float] | Array,
    *,
    confidence: float = 0.95,
    weight: float | None = None,
) -> PredictionPowered:
    """Estimate and interval for the mean real score; approximate, for 30 or more real trials.

    The interval is Student's, with the degrees of freedom of the real trials. With few real trials, or rates near 0 or
    1, take :func:`ppi_safe`.

    Args:
        real: score of each real trial.
        paired: simulated score on the same initial conditions, in the same order.
        simulated: simulated scores on further initial conditions from the same distribution.
        confidence: of the interval.
        weight: of the simulator, 0 to 1; ``None`` takes the one with the smallest variance, estimated for every
            second trial from the others, so that no trial chooses its own weight.

    Raises:
        ConfigError: with fewer than two real or simulated trials, or scores, confidence or weight out of range.
        ShapeError: if ``real`` and ``paired`` differ in number.
    """
    y, f, more = _checked(real, paired, simulated, 2)
    _check_confidence(confidence)
    if weight is not None and not 0 <= weight <= 1:
        raise ConfigError("the weight of the simulator is out of range", got=weight, expected="0 to 1")
    weights = _cross_fitted(y, f, more) if weight is None else np.full(len(y), weight)
    corrected = y - weights * (f - more.mean())
    average, mean, n = float(weights.mean()), float(corrected.mean()), len(y)
    variance = float(corrected.var(ddof=1)) / n + average**2 * float(more.var(ddof=1)) / len(more)
    alone = float(y.var(ddof=1)) / n
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance)
    low, high = min(1.0, max(0.0, mean - half)), max(0.0, min(1.0, mean + half))
    saved = max(0.0, 1 - variance / alone) if alone > 0 else 0.0
    return PredictionPowered(mean, low, high, confidence, average, _correlation(y, f), saved)


def ppi_safe(
    real: Sequence[float] | Array,
    paired: Sequence[float] | Array,
    simulated: Sequence[float] | Array,
    *,
    confidence: float = 0.95,
) -> MeanInterval:
    """Interval for the mean real score that holds for any number of trials and any distribution.

    A tenth of the error rate goes to a betting interval of the simulated mean (:mod:`.betting`). The rest is bet on the
    real scores corrected by the simulated ones, with the simulated mean at the end of its interval that favours the
    gambler least. The capital is shared between weights 0, 1/4, 1/2, 3/4 and 1 of the simulator, so none has to be
    chosen: the average of fair games is fair. The price of sharing is at most a factor of five in evidence.

    Args:
        real: score of each real trial, in the order in which they came.
        paired: simulated score on the same initial conditions, in the same order.
        simulated: simulated scores on further initial conditions from the same distribution.
        confidence: at least so sure.

    Raises:
        ConfigError: without trials, or if scores or confidence are out of range.
        ShapeError: if ``real`` and ``paired`` differ in number.
    """
    y, f, more = _checked(real, paired, simulated, 1)
    _check_confidence(confidence)
    alpha = 1 - confidence
    of_sim = betting_interval(more, 1 - _SIM_SHARE * alpha, planned=len(more))
    alpha_real = (1 - _SIM_SHARE) * alpha
    low = _corrected_low(y, f, of_sim.low, alpha_real)
    high = 1 - _corrected_low(1 - y, 1 - f, 1 - of_sim.high, alpha_real)
    return MeanInterval(
        float(y.mean()), len(y), min(low, high), max(low, high), confidence, "prediction-powered betting"
    )


def _corrected_low(y: Array, f: Array, sim_low: float, alpha: float) -> float:
    """Lower end for the real mean, given that the simulated mean is at least ``sim_low``.

    For weight w the corrected score y - w f + w sim_low has a mean of at most the real one, and lies in
    [-w (1 - sim_low), 1 + w sim_low].
    """
    weights = np.array(_WEIGHTS)[:, None]
    corrected = y - weights * (f - sim_low)
    span = 1 + weights
    unit = (corrected + weights * (1 - sim_low)) / span  # in [0, 1]
    deviation = predictable_deviation(unit) * span
    bets = math.sqrt(2 * math.log(2 / alpha) / len(y)) / deviation

    def rejected(mean: float) -> bool:
        capped = np.minimum(bets, _CAP / np.maximum(mean + weights * (1 - sim_low), 1e-12))
        capital = np.logaddexp.reduce(np.cumsum(np.log1p(capped * (corrected - mean)), axis=1), axis=0)
        return float(capital.max()) - math.log(len(_WEIGHTS)) >= math.log(2 / alpha)

    return bisect_low(rejected)


def best_weight(y: Array, f: Array, more: Array) -> float:
    """Weight of the simulator with the smallest variance: cov(y, f) / ((1 + n / N) var f), within [0, 1]."""
    variance = float(np.concatenate([f, more]).var(ddof=1))
    if len(y) < 2 or variance == 0:
        return 0.0
    covariance = float(np.cov(y, f)[0, 1])
    return min(1.0, max(0.0, covariance / ((1 + len(y) / len(more)) * variance)))


def _cross_fitted(y: Array, f: Array, more: Array) -> Array:
    """For every trial a weight from the other half of the trials."""
    even = np.arange(len(y)) % 2 == 0
    return np.where(even, best_weight(y[~even], f[~even], more), best_weight(y[even], f[even], more))


def _correlation(y: Array, f: Array) -> float:
    if y.std() == 0 or f.std() == 0:
        return 0.0
    return float(np.corrcoef(y, f)[0, 1])


def _checked(
    real: Sequence[float] | Array, paired: Sequence[float] | Array, simulated: Sequence[float] | Array, least: int
) -> tuple[Array, Array, Array]:
    y, f, more = check_scores(real), check_scores(paired), check_scores(simulated)
    if len(y) != len(f):
        raise ShapeError("real and simulated scores of the same starts differ in number", got=(len(y), len(f)))
    if min(len(y), len(more)) < least:
        raise ConfigError("too few trials", got=f"{len(y)} real, {len(more)} simulated", expected=f"at least {least}")
    return y, f, more


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigError("the confidence is out of range", got=confidence, expected="between 0 and 1, e.g. 0.95")
