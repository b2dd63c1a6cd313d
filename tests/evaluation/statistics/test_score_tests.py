"""Tests of scores against SciPy, enumeration and their level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.evaluation.statistics.score_tests import permutation, welch
from robot_stack.evaluation.statistics.sequential import Alternative

SIDES: tuple[tuple[Alternative, str], ...] = (
    ("second_better", "less"),
    ("first_better", "greater"),
    ("two_sided", "two-sided"),
)


@pytest.mark.parametrize(("ours", "theirs"), SIDES)
def test_welch_against_scipy(ours, theirs) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(13), rng.random(31) ** 2
    got = welch(a, b, ours)
    expected: Any = stats.ttest_ind(a, b, equal_var=False, alternative=theirs)
    assert float(got) == pytest.approx(expected.pvalue, abs=1e-12)
    assert got.statistic == pytest.approx(-expected.statistic)


def test_no_variance() -> None:
    with pytest.raises(ConfigError, match="permutation"):
        welch([0.5, 0.5, 0.5], [1.0, 1.0])
    assert float(welch([0.5, 0.5, 0.5], [0.5, 1.0, 0.7], "second_better")) < 0.2
    assert float(permutation([0.5] * 4, [1.0] * 4, "second_better")) == pytest.approx(1 / math.comb(8, 4))
    assert float(permutation([0.5] * 4, [0.5] * 9)) == 1.0
    assert float(permutation([0.5] * 4, [0.5] * 4, paired=True)) == 1.0


@pytest.mark.parametrize(("ours", "theirs"), SIDES)
@pytest.mark.parametrize("paired", [False, True])
def test_exact_permutation_against_scipy(ours, theirs, paired) -> None:
    rng = np.random.default_rng(1)
    a, b = np.round(rng.random(7), 1), np.round(rng.random(7) + 0.2, 1)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=10**9,
        alternative=theirs,
    )
    assert float(permutation(a, b, ours, paired=paired)) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("paired", [False, True])
def test_sampled_permutation_is_near_the_exact_one_and_repeats(paired) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(40), rng.random(40) + 0.12
    one, two = (permutation(a, b, "second_better", paired=paired, seed=s) for s in (0, 0))
    assert one == two
    reference: Any = stats.ttest_rel(a, b, alternative="less") if paired else stats.ttest_ind(a, b, alternative="less")
    assert float(one) == pytest.approx(reference.pvalue, abs=0.01)
    assert float(permutation(np.zeros(40), np.ones(40), resamples=999)) == pytest.approx(2 / 1000)


def test_permutation_keeps_its_level_where_scores_are_coarse() -> None:
    rng = np.random.default_rng(3)
    p_values = [
        float(permutation(rng.integers(0, 3, 6) / 2, rng.integers(0, 3, 6) / 2, "second_better")) for _ in range(1500)
    ]
    for level in (0.05, 0.2):
        share = np.mean(np.array(p_values) <= level)
        assert share <= level + 3 * math.sqrt(level * (1 - level) / 1500)
    assert np.mean(np.array(p_values) <= 0.2) > 0.1


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError):
        welch([1.0], [0.0, 1.0])
    with pytest.raises(ConfigError):
        permutation([], [0.0])
    with pytest.raises(NonFiniteError, match="trial 1"):
        welch([0.0, math.nan], [0.0, 1.0])
    with pytest.raises(ShapeError):
        permutation([0.0, 1.0], [1.0], paired=True)
    with pytest.raises(ShapeError):
        permutation([[0.0, 1.0]], [1.0])  # pyright: ignore[reportArgumentType]
