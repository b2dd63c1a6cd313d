"""Posteriors against closed forms, SciPy and sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.statistics.p_value import Counts
from robot_stack.evaluation.statistics.posterior import (
    BetaPosterior,
    DirichletMean,
    beta_posterior,
    dirichlet_mean,
    probability_second_better,
)


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [
        ((0, 3), (3, 3), 69 / 70),
        ((0, 2), (2, 2), 0.95),
        ((3, 10), (8, 10), 0.98501343857),
        ((14, 20), (17, 20), 0.86142137362),
        ((25, 50), (35, 50), 0.97858517890),
        ((10, 10), (10, 10), 0.5),
    ],
)
def test_reference_probabilities(first, second, probability) -> None:
    a, b = beta_posterior(Counts(*first)), beta_posterior(Counts(*second))
    assert probability_second_better(a, b) == pytest.approx(probability, abs=2e-11)
    assert probability_second_better(b, a) == pytest.approx(1 - probability, abs=2e-11)


@settings(max_examples=40, deadline=None)
@given(*[st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.0, 7.5, 120.0, 333.3]) for _ in range(4)])
def test_probability_better_against_quadrature(a, b, c, d) -> None:
    ours = probability_second_better(BetaPosterior(a, b), BetaPosterior(c, d))
    level = (np.arange(4000) + 0.5) / 4000
    assert ours == pytest.approx(stats.beta(c, d).sf(stats.beta(a, b).ppf(level)).mean(), abs=3e-4)
    mirrored = probability_second_better(BetaPosterior(c, d), BetaPosterior(a, b))
    assert ours + mirrored == pytest.approx(1, abs=1e-8)


def test_ten_thousand_trials_and_tiny_probabilities() -> None:
    a, b = beta_posterior(Counts(5000, 10_000)), beta_posterior(Counts(5100, 10_000))
    normal = stats.norm.cdf((b.mean - a.mean) / np.hypot(*(np.sqrt(x.mean * (1 - x.mean) / 10_003) for x in (a, b))))
    assert probability_second_better(a, b) == pytest.approx(normal, abs=1e-4)
    assert probability_second_better(a, b) + probability_second_better(b, a) == pytest.approx(1, abs=1e-9)
    # every second success sits above every first: B(n+1, n+1) relations give 1 / binom(2n+2, n+1)
    tiny = probability_second_better(beta_posterior(Counts(30, 30)), beta_posterior(Counts(0, 30)))
    assert tiny == pytest.approx(1 / float(np.prod(np.arange(32, 63) / np.arange(1.0, 32))), rel=1e-9)


def test_beta_posterior() -> None:
    posterior = beta_posterior(Counts(17, 20))
    exact: Any = stats.beta(18, 4)
    assert posterior.interval() == pytest.approx((0.6366, 0.9455), abs=5e-5)
    assert posterior.mean == pytest.approx(18 / 22)
    grid = np.linspace(0, 1, 11)
    assert posterior.density(grid) == pytest.approx(exact.pdf(grid))
    assert beta_posterior(Counts(0, 0)).interval(0.9) == pytest.approx((0.05, 0.95))
    assert beta_posterior(Counts(0, 4), (0.5, 0.5)).density(np.array([0.0]))[0] == np.inf
    assert "mean 81.8%" in str(posterior)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 1), (3, 5), (40, 2), (900, 1100)])
def test_two_values_are_a_beta_posterior(a: float, b: float) -> None:
    mean, exact = DirichletMean((0.0, 1.0), (b, a)), stats.beta(a, b)
    for level in (1e-3, 0.05, 0.5, 0.9, 0.999):
        assert mean.cumulative(float(exact.ppf(level))) == pytest.approx(level, abs=1e-8)
    assert mean.interval() == pytest.approx(exact.interval(0.95), abs=1e-7)
    assert (mean.mean, mean.deviation) == pytest.approx((exact.mean(), exact.std()))


def test_many_values_against_sampling() -> None:
    scores = [0.0] * 3 + [0.25] * 5 + [0.5] * 2 + [1.0] * 8
    posterior = dirichlet_mean(scores, [0, 0.25, 0.5, 0.75, 1])
    assert posterior.weights == (4, 6, 3, 1, 9)
    samples = np.random.default_rng(0).dirichlet(posterior.weights, 400_000) @ np.array(posterior.values)
    assert posterior.interval(0.9) == pytest.approx(np.quantile(samples, [0.05, 0.95]), abs=1e-3)
    assert posterior.mean == pytest.approx(samples.mean(), abs=1e-3)
    assert posterior.deviation == pytest.approx(samples.std(), abs=1e-3)
    grid = np.linspace(0.3, 0.9, 400)
    assert np.trapezoid(posterior.density(grid), grid) == pytest.approx(
        posterior.cumulative(0.9) - posterior.cumulative(0.3), abs=1e-4
    )
    other = dirichlet_mean([1.0] * 15 + [0.5] * 3, [0, 0.25, 0.5, 0.75, 1])
    theirs = np.random.default_rng(1).dirichlet(other.weights, 400_000) @ np.array(other.values)
    assert other.probability_above(posterior) == pytest.approx((theirs > samples).mean(), abs=2e-3)
    assert posterior.probability_above(posterior) == pytest.approx(0.5, abs=1e-3)


def test_nothing_seen_is_the_prior_and_bad_input_is_refused() -> None:
    assert dirichlet_mean([], [0, 1]).interval(0.9) == pytest.approx((0.05, 0.95), abs=1e-8)
    for bad in (lambda: dirichlet_mean([0.3], [0, 1]), lambda: dirichlet_mean([0.0], [0])):
        with pytest.raises((ConfigError, ShapeError)):
            bad()
    for bad in (
        lambda: BetaPosterior(0, 1),
        lambda: DirichletMean((0.0, 1.0), (1.0, 0.0)),
        lambda: BetaPosterior(1, 1).interval(1),
    ):
        with pytest.raises(ConfigError):
            bad()
