"""The maximum over the nuisance parameter, against closed forms and dense grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robot_stack.evaluation.statistics.nuisance import arcsine_grid, at, certified_maximum, maximum


@pytest.mark.parametrize(("k", "m"), [(0, 7), (3, 10), (20, 20), (37, 400)])
def test_one_coefficient_has_its_maximum_at_the_mode(k: int, m: int) -> None:
    coefficients = np.zeros(m + 1)
    coefficients[k] = 1
    exact = stats.binom.pmf(k, m, k / m)
    found = certified_maximum(coefficients, gap=1e-9)
    assert maximum(coefficients) == pytest.approx(exact, abs=1e-9)
    assert found.value <= exact + 1e-12 and exact <= found.bound + 1e-12
    assert found.bound - found.value < 2e-8


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_bound_holds_everywhere(m: int, seed: int) -> None:
    coefficients = np.random.default_rng(seed).random(m + 1) ** 4
    found, dense = certified_maximum(coefficients, gap=1e-6), at(coefficients, np.linspace(0, 1, 20_001)).max()
    assert found.bound >= dense
    assert found.value >= dense - 1.1e-6
    assert maximum(coefficients) == pytest.approx(dense, abs=1e-6)
    assert at(coefficients, np.array([found.at]))[0] == pytest.approx(found.value, abs=1e-12)


def test_a_polynomial_is_the_expectation_of_its_coefficients() -> None:
    coefficients, rates = np.linspace(0, 1, 31) ** 2, arcsine_grid(9)
    expected = rates**2 + rates * (1 - rates) / 30
    assert at(coefficients, rates) == pytest.approx(expected, abs=1e-12)
    assert (rates[0], rates[-1]) == (0, 1)
