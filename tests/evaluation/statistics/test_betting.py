"""Betting intervals and the test of paired scores: coverage, monotone ends, error rate, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.evaluation.intervals import clopper_pearson
from robot_stack.evaluation.statistics.betting import (
    PairedScores,
    betting_interval,
    betting_sequence,
    bisect_low,
    log_capital,
    stakes,
)
from robot_stack.evaluation.statistics.sequential import Decision, SequentialTest, fold
from robot_stack.evaluation.statistics.simulate import simulate_paired_scores


def draw(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return {
        "rate 0.5": lambda: (rng.random(shape) < 0.5) * 1.0,
        "rate 0.05": lambda: (rng.random(shape) < 0.05) * 1.0,
        "beta": lambda: rng.beta(5, 2, shape),
        "milestones": lambda: rng.integers(0, 5, shape) / 4,
    }[kind]()


MEANS = {"rate 0.5": 0.5, "rate 0.05": 0.05, "beta": 5 / 7, "milestones": 0.5}


@pytest.mark.parametrize("kind", list(MEANS))
@pytest.mark.parametrize("planned", [25, None])
def test_coverage(kind: str, planned: int | None) -> None:
    rng, repeats = np.random.default_rng(0), 400
    missed = 0
    for row in draw(kind, rng, (repeats, 25)):
        got = betting_interval(row, 0.8, planned=planned)
        missed += not got.low <= MEANS[kind] <= got.high
    assert missed / repeats <= 0.2 + 3 * math.sqrt(0.16 / repeats)


def test_all_times_at_once() -> None:
    rng, missed = np.random.default_rng(1), 0
    for row in draw("milestones", rng, (120, 40)):
        low, high = betting_sequence(row, 0.8)
        missed += bool(((low > 0.5) | (high < 0.5)).any())
        assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
    assert missed / 120 <= 0.2 + 3 * math.sqrt(0.16 / 120)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.5, 0.99))
def test_the_last_of_the_sequence_is_the_interval(scores: list[float], confidence: float) -> None:
    low, high = betting_sequence(scores, confidence)
    got = betting_interval(scores, confidence)
    assert (got.low, got.high) == pytest.approx((min(low[-1], high[-1]), max(low[-1], high[-1])), abs=1e-6)
    mirrored = betting_interval([1 - s for s in scores], confidence)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - got.high, 1 - got.low), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_capital_falls_with_the_mean_so_bisection_finds_the_end(scores: list[float]) -> None:
    x = np.array(scores)
    bets = stakes(x, 0.9, None)
    capital = [float(log_capital(x, bets, m).max()) for m in np.linspace(0, 1, 101)]
    assert (np.diff(capital) <= 1e-12).all()
    end = bisect_low(lambda m: float(log_capital(x, bets, m).max()) >= math.log(20))
    assert end == 0 or float(log_capital(x, bets, end).max()) >= math.log(20) - 1e-9


def test_low_variance_pays_where_a_rate_would_not() -> None:
    rng = np.random.default_rng(2)
    steady = betting_interval((0.6 + 0.02 * rng.standard_normal(100)).tolist(), planned=100)
    rate = clopper_pearson(60, 100)
    assert steady.high - steady.low < 0.6 * (rate.high - rate.low)
    coin = betting_interval([1.0] * 60 + [0.0] * 40, planned=100)
    assert coin.high - coin.low < 1.35 * (rate.high - rate.low)


def test_nothing_and_extremes() -> None:
    assert (betting_interval([]).low, betting_interval([]).high) == (0, 1)
    zeros = betting_interval([0.0] * 50)
    assert zeros.low == 0 and 0.05 < zeros.high < 0.25
    assert betting_interval([1.0] * 50).high == 1
    same = betting_interval([0.5] * 200)
    assert 0.4 < same.low < 0.5 < same.high < 0.6
    for bad in ([0.5, math.nan], [1.2], [-0.1]):
        with pytest.raises(ConfigError, match="out of range"):
            betting_interval(bad)
    with pytest.raises(ShapeError):
        betting_interval(np.zeros((2, 2)))
    with pytest.raises(ConfigError):
        betting_interval([0.5] * 3, planned=2)
    with pytest.raises(ConfigError):
        betting_interval([0.5], 1.0)


def test_paired_scores_keeps_its_error_rate_where_differences_are_skewed() -> None:
    """The second is often slightly better and seldom much worse: equal on average."""
    test, rng, wrong = PairedScores(0.1, "second_better", n_max=150), np.random.default_rng(3), 0
    for _ in range(250):
        gaps = np.where(rng.random(150) < 0.8, 0.1, -0.4)
        wrong += fold(test, [(0.5, 0.5 + g) for g in gaps]).decision is Decision.SECOND_BETTER
    assert wrong / 250 <= 0.1 + 3 * math.sqrt(0.09 / 250)


def test_paired_scores_decides_in_both_directions() -> None:
    test, rng = PairedScores(0.05), np.random.default_rng(4)
    assert isinstance(test, SequentialTest)
    pairs = np.clip(rng.normal((0.4, 0.6), 0.2, (300, 2)), 0, 1).tolist()
    state = fold(test, pairs)
    assert state.decision is Decision.SECOND_BETTER and (state.decided_at or 999) < 80
    other = fold(test, [(b, a) for a, b in pairs])
    assert other.decision is Decision.FIRST_BETTER and other.decided_at == state.decided_at
    assert fold(test, [(0.3, 0.3)] * 400).decision is Decision.CONTINUE
    assert fold(PairedScores(0.05, n_max=5), [(0.3, 0.3)] * 5).decision is Decision.UNDECIDED
    assert "mean difference +0." in test.describe(state)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=15), st.floats(0, 1), st.floats(0, 1))
def test_a_fair_pair_never_raises_the_capital_on_average(history, high: float, low: float) -> None:
    test = PairedScores(1e-9)
    state = fold(test, history)
    if high + low > 0:
        chance = low / (high + low)  # of the gap +high; the gap -low otherwise: mean zero
        up = chance * math.exp(test.update(state, 0, high).numbers[2] - state.numbers[2])
        up += (1 - chance) * math.exp(test.update(state, low, 0).numbers[2] - state.numbers[2])
        assert up <= 1 + 1e-9


def test_the_vectorised_simulation_is_the_test() -> None:
    test, rng = PairedScores(0.1, "second_better"), np.random.default_rng(6)
    first, second = rng.integers(0, 5, (60, 50)) / 4, np.clip(rng.integers(1, 6, (60, 50)) / 4, 0, 1)
    fast = simulate_paired_scores(test, first, second)
    for i in range(60):
        state = fold(test, zip(first[i].tolist(), second[i].tolist(), strict=True))
        assert fast.decided_at[i] == (state.decided_at or 0)
    assert 0.2 < fast.rate.rate < 1


def test_a_score_out_of_range_is_refused() -> None:
    for pair in ((0.5, 1.5), (math.nan, 0.5), (-1, 0)):
        with pytest.raises(ConfigError):
            PairedScores().update(PairedScores().start(), *pair)
