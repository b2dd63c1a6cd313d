"""Adjusted p-values against statsmodels, the definition of closed testing, and a published case."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.multiplicity import bonferroni, closed_pairwise, holm

P = st.floats(0, 1)


def test_published_case() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert bonferroni([0.01, 0.04, 0.5]) == pytest.approx([0.03, 0.12, 1.0])
    assert holm([]) == [] == bonferroni([])


@settings(max_examples=60, deadline=None)
@given(st.lists(P, min_size=1, max_size=5))
def test_holm_is_closed_testing_with_bonferronis_test(p_values: list[float]) -> None:
    n = len(p_values)
    subsets = [s for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]
    expected = [max(min(1.0, len(s) * min(p_values[k] for k in s)) for s in subsets if i in s) for i in range(n)]
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@given(st.lists(P, min_size=1, max_size=12))
def test_against_statsmodels(p_values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for ours, theirs in ((holm, "holm"), (bonferroni, "bonferroni")):
        assert ours(p_values) == pytest.approx(multitest.multipletests(p_values, method=theirs)[1], abs=1e-12)


def by_definition(policies: int, p_values: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Every set of pairs that can be equal together: closed under transitivity."""
    adjusted = dict.fromkeys(p_values, 0.0)
    for size in range(1, len(p_values) + 1):
        for subset in itertools.combinations(p_values, size):
            linked = np.eye(policies, dtype=bool)
            for i, j in subset:
                linked[i, j] = linked[j, i] = True
            for k in range(policies):
                linked |= linked[:, k : k + 1] & linked[k : k + 1, :]
            if linked.sum() - policies == 2 * size:
                joint = min(1.0, size * min(p_values[pair] for pair in subset))
                for pair in subset:
                    adjusted[pair] = max(adjusted[pair], joint)
    return adjusted


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.data())
def test_closed_testing_by_its_definition_and_never_worse_than_holm(policies: int, data) -> None:
    pairs = list(itertools.combinations(range(policies), 2))
    p_values = {pair: data.draw(P) for pair in pairs}
    got = closed_pairwise(policies, p_values)
    if policies <= 4:
        assert got == pytest.approx(by_definition(policies, p_values), abs=1e-12)
    for pair, adjusted in zip(pairs, holm([p_values[p] for p in pairs]), strict=True):
        assert p_values[pair] <= got[pair] <= adjusted + 1e-12


def test_three_policies_need_no_second_correction() -> None:
    """Once one of three pairs differs, at most one other can be equal: the rest is tested at the full level."""
    p_values = {(0, 1): 0.012, (0, 2): 0.03, (1, 2): 0.04}
    assert max(closed_pairwise(3, p_values).values()) <= 0.05 < max(holm(list(p_values.values())))


def test_family_wise_error_rate_by_simulation() -> None:
    rng, repeats, wrong = np.random.default_rng(0), 3000, 0
    for _ in range(repeats):
        means = rng.standard_normal(4) + np.array([0, 0, 0, 3])
        pairs = itertools.combinations(range(4), 2)
        from_normal = {(i, j): float(2 * ndtr(-abs(means[i] - means[j]) / np.sqrt(2))) for i, j in pairs}
        adjusted = closed_pairwise(4, from_normal)
        wrong += min(adjusted[p] for p in ((0, 1), (0, 2), (1, 2))) <= 0.1
    assert 0.01 < wrong / repeats <= 0.1 + 3 * np.sqrt(0.09 / repeats)


def test_bad_input_is_refused() -> None:
    for bad in ([0.5, 1.1], [-0.1], [float("nan")]):
        with pytest.raises(ConfigError):
            holm(bad)
    with pytest.raises(ConfigError):
        closed_pairwise(3, {(0, 1): 0.5})
    with pytest.raises(ConfigError, match="holm"):
        closed_pairwise(10, {})
