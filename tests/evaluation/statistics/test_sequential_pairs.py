"""The sequential test of pairs: its error rate given the discordances, brute force, mixed difficulties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.operating import pair_law
from robot_stack.evaluation.statistics.sequential import Decision, SequentialTest, fold
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard
from robot_stack.evaluation.statistics.sequential_pairs import SequentialPairs
from robot_stack.evaluation.statistics.simulate import draw_pairs, simulate_pairs


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=11), st.floats(0.02, 0.4))
def test_error_rate_given_the_discordances_by_every_path(discordant: list[bool], alpha: float) -> None:
    """Every assignment of winners to the discordant pairs is equally likely: count those that are decided."""
    test = SequentialPairs(len(discordant), alpha, "two_sided")
    wrong = {Decision.FIRST_BETTER: 0, Decision.SECOND_BETTER: 0}
    for coins in itertools.product((0, 1), repeat=sum(discordant)):
        winners = iter(coins)
        path = [(0, 1) if d and next(winners) else ((1, 0) if d else (1, 1)) for d in discordant]
        decision = fold(test, path).decision
        if decision in wrong:
            wrong[decision] += 1
    total = 2 ** sum(discordant)
    assert wrong[Decision.FIRST_BETTER] == wrong[Decision.SECOND_BETTER]
    assert sum(wrong.values()) / total <= alpha + 1e-12
    spent = fold(
        SequentialPairs(len(discordant), alpha / 2, "second_better"), [(1, 0) if d else (1, 1) for d in discordant]
    )
    assert wrong[Decision.SECOND_BETTER] / total == pytest.approx(spent.numbers[2], abs=1e-12)


def test_no_wasted_risk_at_the_last_pair() -> None:
    """The next state in the order would overspend: the thresholds are as low as the error rate lets them be."""
    for discordant in (3, 11, 38):
        path = ([(0, 1), (1, 0)] * 20)[:discordant] + [(1, 1)] * (40 - discordant)
        state = fold(SequentialPairs(40, 0.05, "second_better"), path)
        alive = np.array(state.numbers[3:])
        next_wins = int(np.flatnonzero(alive).max())
        assert state.numbers[2] <= 0.05 < state.numbers[2] + alive[next_wins]
        exact = stats.binom.isf(0.05, discordant, 0.5)  # McNemar's test with one look rejects above this
        assert exact <= next_wins <= exact + 4


def test_it_is_a_sequential_test_that_decides_and_gives_up() -> None:
    test = SequentialPairs(60, 0.05)
    assert isinstance(test, SequentialTest)
    assert fold(test, [(0, 1)] * 60).decision is Decision.SECOND_BETTER
    assert fold(test, [(1, 0)] * 60).decision is Decision.FIRST_BETTER
    assert fold(test, [(1, 1), (0, 0)] * 30).decision is Decision.UNDECIDED
    assert fold(test, [(1, 0), (0, 1)] * 30).decision is Decision.UNDECIDED
    late = fold(test, [(0, 1)] * 60)
    assert late.pairs == 60 and (late.decided_at or 0) < 12
    assert "only the second in" in test.describe(late)


def test_the_vectorised_simulation_is_the_test() -> None:
    test = SequentialPairs(50, 0.1, "second_better", spending=1.3)
    first, second = draw_pairs(pair_law(0.4, 0.6, 0.3), 120, 50, seed=3)
    fast = simulate_pairs(test, first, second)
    for i in range(120):
        state = fold(test, zip(first[i].tolist(), second[i].tolist(), strict=True))
        assert fast.decided_at[i] == (state.decided_at if state.decision is Decision.SECOND_BETTER else 0)
    assert 0.2 < fast.rate.rate < 0.95


def test_unequal_difficulty_keeps_the_error_rate_where_rates_vary_between_pairs() -> None:
    """Hard and easy starts, and a first half harder than the second: each pair is fair, the pairs are not alike."""
    test, rng = SequentialPairs(80, 0.05, "second_better"), np.random.default_rng(5)
    hard = np.linspace(0.05, 0.95, 80)
    first, second = ((rng.random((6000, 80)) < hard).astype(np.int8) for _ in range(2))
    assert simulate_pairs(test, first, second).rate.low < 0.05


def test_it_gains_power_where_starts_decide_much() -> None:
    law = pair_law(0.5, 0.65, 0.6)
    first, second = draw_pairs(law, 4000, 100, seed=1)
    pairs = simulate_pairs(SequentialPairs(100, 0.05, "second_better"), first, second).rate.rate
    barnard = SequentialBarnard(100, 0.05, "second_better").operating(law).second_better
    assert pairs > barnard + 0.1


def test_bad_input_is_refused() -> None:
    for n_max, alpha, spending in ((9, 0.5, 1.0), (0, 0.05, 1.0), (9, 0.05, 0.0)):
        with pytest.raises(ConfigError):
            SequentialPairs(n_max, alpha, spending=spending)
    with pytest.raises(ConfigError):
        SequentialPairs(10).update(SequentialPairs(10).start(), 0.3, 1)
