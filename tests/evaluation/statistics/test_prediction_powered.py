"""Simulated trials that tighten real ones: formulas, coverage whatever the simulator does, gain where it is good."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.statistics.betting import betting_interval
from robot_stack.evaluation.statistics.prediction_powered import best_weight, ppi_mean, ppi_safe


def world(kind: str, rng: np.random.Generator, n: int, many: int, rate: float = 0.6) -> tuple[Any, Any, Any]:
    """Real scores, simulated ones on the same starts, simulated ones on further starts."""
    hidden = rng.random(n + many)
    real = (hidden[:n] < rate) * 1.0
    if kind == "good":
        simulated = np.where(rng.random(n + many) < 0.9, hidden < rate, rng.random(n + many) < 0.5) * 1.0
    elif kind == "biased":
        simulated = (hidden < min(1.0, rate + 0.25)) * 1.0
    elif kind == "useless":
        simulated = (rng.random(n + many) < 0.8) * 1.0
    else:
        simulated = (hidden > rate) * 1.0
    return real, simulated[:n], simulated[n:]


@pytest.mark.parametrize("kind", ["good", "biased", "useless", "opposite"])
def test_coverage_whatever_the_simulator_does(kind: str) -> None:
    """The interval is approximate: with 100 real trials it misses about 5 to 6 times in 100."""
    rng, repeats, missed = np.random.default_rng(0), 2000, 0
    for _ in range(repeats):
        got = ppi_mean(*world(kind, rng, 100, 600))
        missed += not got.low <= 0.6 <= got.high
    assert 0.03 <= missed / repeats <= 0.06 + 3 * math.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("kind", ["good", "biased", "useless", "opposite"])
@pytest.mark.parametrize(("n", "rate"), [(6, 0.6), (15, 0.05), (15, 0.95)])
def test_the_safe_interval_covers_with_few_trials_and_extreme_rates(kind: str, n: int, rate: float) -> None:
    rng, repeats, missed = np.random.default_rng(1), 150, 0
    for _ in range(repeats):
        got = ppi_safe(*world(kind, rng, n, 150, rate), confidence=0.8)
        missed += not got.low <= rate <= got.high
    assert missed / repeats <= 0.2 + 3 * math.sqrt(0.16 / repeats)


def test_the_plain_interval_fails_where_the_safe_one_is_needed() -> None:
    """Six real successes in a row: the variance looks like zero."""
    ones = np.ones(6)
    assert ppi_mean(ones, ones, np.ones(100)).low == 1.0
    assert ppi_safe(ones, ones, np.ones(100)).low < 0.9


def test_formulas_and_weight() -> None:
    rng = np.random.default_rng(2)
    y, f, more = world("good", rng, 40, 400)
    covariance, variance = np.cov(y, f)[0, 1], np.concatenate([f, more]).var(ddof=1)
    best = best_weight(y, f, more)
    assert best == pytest.approx(covariance / ((1 + 40 / 400) * variance))
    results = {w: ppi_mean(y, f, more, weight=w) for w in np.linspace(0, 1, 101).tolist()}
    shortest = min(results, key=lambda w: results[w].high - results[w].low)
    assert abs(shortest - best) < 0.05
    fixed = ppi_mean(y, f, more, weight=0.7)
    assert fixed.mean == pytest.approx(0.7 * more.mean() + (y - 0.7 * f).mean())
    error = math.sqrt((y - 0.7 * f).var(ddof=1) / 40 + 0.49 * more.var(ddof=1) / 400)
    assert fixed.high - fixed.mean == pytest.approx(2.02269 * error, rel=1e-4)
    alone = ppi_mean(y, f, more, weight=0.0)
    assert alone.mean == pytest.approx(y.mean()) and alone.saved == 0
    own = ppi_mean(y, f, more)
    halves = best_weight(y[1::2], f[1::2], more), best_weight(y[::2], f[::2], more)
    assert own.weight == pytest.approx(sum(halves) / 2)


def test_a_good_simulator_saves_trials_and_a_useless_one_costs_little() -> None:
    rng = np.random.default_rng(3)
    saved = [ppi_mean(*world("good", rng, 100, 2000)).saved for _ in range(50)]
    wasted = [ppi_mean(*world("useless", rng, 100, 2000)).saved for _ in range(50)]
    assert np.mean(saved) > 0.6 and 0 <= np.mean(wasted) < 0.05
    good = [ppi_safe(*world("good", rng, 100, 2000)) for _ in range(8)]
    useless = [ppi_safe(*world("useless", rng, 100, 2000)) for _ in range(8)]
    real = [betting_interval(world("good", rng, 100, 1)[0], planned=100) for _ in range(8)]
    width = [float(np.mean([i.high - i.low for i in group])) for group in (good, real, useless)]
    assert width[0] < 0.85 * width[1] and width[2] < 1.3 * width[1]


def test_zero_variance_and_bad_input() -> None:
    got = ppi_mean([1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0])
    assert got.weight == 0 and got.correlation == 0 and got.mean == pytest.approx(2 / 3)
    assert "weight of the simulator 0.00" in str(got)
    for real, paired, simulated in (
        ([1.0], [1.0], [1.0, 0.0]),
        ([1.0, 0.0], [1.0, 0.0], []),
        ([1.0, 2.0], [1.0, 0.0], [1.0, 0.0]),
    ):
        with pytest.raises(ConfigError):
            ppi_mean(real, paired, simulated)
    with pytest.raises(ShapeError):
        ppi_mean([1.0, 0.0], [1.0], [1.0, 0.0])
    with pytest.raises(ConfigError):
        ppi_safe([], [], [0.5])
    with pytest.raises(ConfigError):
        ppi_mean([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], weight=2.0)
