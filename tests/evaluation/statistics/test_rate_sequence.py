"""The confidence sequence of a rate: reference values and coverage at all times at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.intervals import clopper_pearson
from robot_stack.evaluation.statistics.rate_sequence import anytime


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (5, 10, 0.129219, 0.870781),
        (10, 10, 0.583120, 1),
        (14, 20, 0.373069, 0.924572),
        (46, 50, 0.739241, 0.991042),
        (113, 200, 0.448687, 0.676682),
        (0, 10, 0, 0.416880),
    ],
)
def test_reference_values(successes: int, trials: int, low: float, high: float) -> None:
    got = anytime(successes, trials)
    assert (got.low, got.high) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 20_000), st.integers(1, 20_000), st.floats(0.5, 0.9999))
def test_it_holds_the_rate_and_is_longer_than_the_exact_interval(successes, trials, confidence) -> None:
    successes = min(successes, trials)
    got, exact = anytime(successes, trials, confidence), clopper_pearson(successes, trials, confidence)
    assert 0 <= got.low <= got.rate <= got.high <= 1
    if confidence >= 0.9:
        assert got.high - got.low >= exact.high - exact.low
    other = anytime(trials - successes, trials, confidence)
    assert (other.low, other.high) == pytest.approx((1 - got.high, 1 - got.low), abs=1e-9)


@pytest.mark.parametrize("rate", [0.03, 0.5, 0.8])
def test_it_covers_at_all_times_at_once(rate: float) -> None:
    rng, trials, paths = np.random.default_rng(0), 300, 1000
    intervals = [[anytime(k, n, 0.9) for k in range(n + 1)] for n in range(1, trials + 1, 12)]
    outside = np.zeros(paths, dtype=bool)
    counts = np.cumsum(rng.random((paths, trials)) < rate, axis=1)
    for row in intervals:
        n = len(row) - 1
        holds = np.array([i.low <= rate <= i.high for i in row])
        outside |= ~holds[counts[:, n - 1]]
    assert 0 < outside.mean() < 0.1


def test_nothing_known_and_bad_input() -> None:
    assert (anytime(0, 0).low, anytime(0, 0).high) == (0, 1)
    for bad in ((3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)):
        with pytest.raises(ConfigError):
            anytime(*bad)
    with pytest.raises(ConfigError):
        anytime(1, 2, prior=(0.0, 1.0))
