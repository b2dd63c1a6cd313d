"""Intervals against SciPy, published tables and their own definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.intervals import clopper_pearson, jeffreys, wilson

PUBLISHED = [
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I: Wilson (method 3), exact (5)
    (wilson, 81, 263, 0.2553, 0.3662),
    (wilson, 15, 148, 0.0624, 0.1605),
    (wilson, 0, 20, 0.0, 0.1611),
    (wilson, 1, 29, 0.0061, 0.1718),
    (clopper_pearson, 81, 263, 0.2527, 0.3676),
    (clopper_pearson, 15, 148, 0.0578, 0.1617),
    (clopper_pearson, 0, 20, 0.0, 0.1684),
    (clopper_pearson, 1, 29, 0.0009, 0.1776),
    (clopper_pearson, 0, 10, 0.0, 0.3085),
    (jeffreys, 17, 20, 0.6514, 0.9559),
]


@pytest.mark.parametrize(("interval", "successes", "trials", "low", "high"), PUBLISHED)
def test_published_values(interval, successes, trials, low, high) -> None:
    got = interval(successes, trials)
    assert (got.low, got.high) == pytest.approx((low, high), abs=5.1e-5)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.5, 0.999))
def test_against_scipy(successes: int, trials: int, confidence: float) -> None:
    successes = min(successes, trials)
    test = stats.binomtest(successes, trials)
    for interval, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        ours, theirs = interval(successes, trials, confidence), test.proportion_ci(confidence, method)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert ours.low <= ours.rate <= ours.high
    posterior = stats.beta(successes + 0.5, trials - successes + 0.5)
    ours = jeffreys(successes, trials, confidence)
    if successes > 0:
        assert posterior.cdf(ours.low) == pytest.approx((1 - confidence) / 2, abs=1e-7)
    if successes < trials:
        assert posterior.sf(ours.high) == pytest.approx((1 - confidence) / 2, abs=1e-7)


@given(st.integers(0, 60), st.integers(1, 60))
def test_failures_mirror_successes(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    for interval in (wilson, clopper_pearson, jeffreys):
        one, other = interval(successes, trials), interval(trials - successes, trials)
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-9)


def test_the_exact_interval_covers_at_least_as_often_as_promised() -> None:
    trials = 25
    counts = np.arange(trials + 1)
    exact = [clopper_pearson(int(k), trials) for k in counts]
    score = [wilson(int(k), trials) for k in counts]
    coverages = []
    for rate in np.linspace(0.001, 0.999, 400):
        mass = stats.binom.pmf(counts, trials, rate)
        assert mass[[p.low <= rate <= p.high for p in exact]].sum() >= 0.95
        coverages.append(mass[[p.low <= rate <= p.high for p in score]].sum())
    assert 0.94 < np.mean(coverages) < 0.965


def test_without_trials_nothing_is_known() -> None:
    for interval in (wilson, clopper_pearson, jeffreys):
        none = interval(0, 0)
        assert (none.rate, none.low, none.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0)])
def test_nonsense_is_refused(successes, trials, confidence) -> None:
    for interval in (wilson, clopper_pearson, jeffreys):
        with pytest.raises(ConfigError):
            interval(successes, trials, confidence)


def test_it_reads_well() -> None:
    assert str(wilson(17, 20)) == "17/20 = 85% [64%, 95%]"
