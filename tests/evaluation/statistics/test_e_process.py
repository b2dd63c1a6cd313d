"""The e-process against published values, its defining inequality, and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.e_process import EProcess
from robot_stack.evaluation.statistics.operating import pair_law
from robot_stack.evaluation.statistics.sequential import Decision, SequentialTest, fold
from robot_stack.evaluation.statistics.simulate import draw_pairs, simulate_e_process

OPEN = EProcess(1e-12, "second_better")


@pytest.mark.parametrize(
    ("pairs", "evidence"), [(1, 16 / 9), (2, 4.0), (3, 10.24), (4, 256 / 9), (5, 83.5918367), (10, 29127.1111111)]
)
def test_published_evidence_of_all_failures_against_all_successes(pairs: int, evidence: float) -> None:
    assert math.exp(fold(OPEN, [(0, 1)] * pairs).numbers[2]) == pytest.approx(evidence, rel=1e-8)


def test_published_decisions() -> None:
    test = EProcess(0.05, "second_better")
    assert fold(test, [(0, 1)] * 10).decided_at == 4
    assert fold(test, [(0, 1), (0, 1), (0, 1), (1, 0)] * 15).decided_at == 11
    assert fold(test, [(0, 1), (0, 1), (1, 0)] * 30).decided_at == 44
    assert math.exp(fold(OPEN, [(0, 0), (1, 1)] * 5).numbers[2]) == pytest.approx(0.6704, abs=5e-5)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 30), st.data())
def test_no_fair_or_unfavourable_pair_raises_the_evidence_on_average(pairs: int, data) -> None:
    s0, s1 = data.draw(st.integers(0, pairs)), data.draw(st.integers(0, pairs))
    p0 = data.draw(st.floats(0, 1))
    p1 = data.draw(st.floats(0, p0))
    mean = 0.0
    for x, y in itertools.product((0, 1), repeat=2):
        weight = (p0 if x else 1 - p0) * (p1 if y else 1 - p1)
        mean += weight * math.exp(EProcess()._log_factor(pairs, s0, s1, x, y))
    assert mean <= 1 + 1e-12


def test_both_directions_and_no_end() -> None:
    test = EProcess(0.05)
    assert isinstance(test, SequentialTest) and test.n_max is None
    assert fold(test, [(0, 1)] * 9).decision is Decision.SECOND_BETTER
    assert fold(test, [(1, 0)] * 9).decision is Decision.FIRST_BETTER
    assert fold(test, [(1, 1), (0, 0)] * 500).decision is Decision.CONTINUE
    assert fold(EProcess(0.05, n_max=20), [(1, 1), (0, 0)] * 10).decision is Decision.UNDECIDED
    assert "evidence that the second is better" in test.describe(fold(test, [(0, 1)] * 9))


def test_the_vectorised_simulation_is_the_test() -> None:
    test = EProcess(0.05, "second_better")
    first, second = draw_pairs(pair_law(0.4, 0.7), 150, 80, seed=3)
    fast = simulate_e_process(test, first, second)
    for i in range(150):
        state = fold(test, zip(first[i].tolist(), second[i].tolist(), strict=True))
        assert fast.decided_at[i] == (state.decided_at or 0)
    assert 0.3 < fast.rate.rate < 1


def test_error_rate_and_power_as_published() -> None:
    """Published for this process: type I 0.0257 by pair 500 at rate 0.5; 161 pairs for power 0.8 at 0.5 against 0.7."""
    test = EProcess(0.05, "second_better")
    null = simulate_e_process(test, *draw_pairs(pair_law(0.5, 0.5), 20_000, 500, seed=1)).rate
    assert null.low <= 0.0257 <= null.high
    power = simulate_e_process(test, *draw_pairs(pair_law(0.5, 0.7), 20_000, 200, seed=2))
    assert abs((power.pairs_for(0.8) or 0) - 161) <= 4
    assert power.expected_pairs == pytest.approx(95, abs=1.5)


def test_draws_follow_the_law() -> None:
    law = pair_law(0.3, 0.6, 0.4)
    first, second = draw_pairs(law, 50_000, 2, seed=0)
    assert first.mean() == pytest.approx(0.3, abs=0.01) and second.mean() == pytest.approx(0.6, abs=0.01)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(0.4, abs=0.02)


def test_bad_input_is_refused() -> None:
    for alpha, n_max, weak, strong in (
        (-0.1, 9, 1, 2),
        (0.1, 0, 1, 2),
        (0.1, 9, 0, 2),
        (0.1, 9, 3, 2),
        (0.1, 9, 1, math.inf),
    ):
        with pytest.raises(ConfigError):
            EProcess(alpha, "two_sided", n_max, weak, strong)
    with pytest.raises(ConfigError):
        EProcess().update(EProcess().start(), 1, math.nan)
