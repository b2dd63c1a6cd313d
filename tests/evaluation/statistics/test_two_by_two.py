"""Fixed-n tests of success against reference values, SciPy and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.evaluation.paired import PairedTable
from robot_stack.evaluation.statistics.p_value import Counts
from robot_stack.evaluation.statistics.sequential import Alternative
from robot_stack.evaluation.statistics.two_by_two import barnard, boschloo, fisher, mcnemar

REFERENCE = [  # one-sided, "second better": Barnard with the pooled statistic, Boschloo, Fisher
    ((0, 3), (3, 3), 0.015625, 0.015625, 0.05),
    ((0, 2), (2, 2), 0.0625, 0.0625, 0.16667),
    ((3, 10), (8, 10), 0.020695, 0.020695, 0.034889),
    ((5, 10), (9, 10), 0.031155, 0.031155, 0.070433),
    ((14, 20), (17, 20), 0.144708, 0.143573, 0.225288),
    ((7, 20), (14, 20), 0.019242, 0.019242, 0.028080),
    ((25, 50), (35, 50), 0.022232, 0.022232, 0.032789),
    ((42, 50), (47, 50), 0.066605, 0.068856, 0.099859),
    ((80, 200), (113, 200), 0.000520, 0.000520, 0.000668),
    ((91, 120), (74, 80), 0.001562, 0.000981, 0.001549),
]


@pytest.mark.parametrize(("first", "second", "by_barnard", "by_boschloo", "by_fisher"), REFERENCE)
def test_reference_values(first, second, by_barnard, by_boschloo, by_fisher) -> None:
    a, b = Counts(*first), Counts(*second)
    got = [float(test(a, b, "second_better")) for test in (barnard, boschloo, fisher)]
    assert got == pytest.approx([by_barnard, by_boschloo, by_fisher], abs=1e-6 if by_fisher != 0.16667 else 4e-6)
    mirrored = [float(test(b, a, "first_better")) for test in (barnard, boschloo, fisher)]
    assert mirrored == pytest.approx(got, abs=1e-9)


def test_examples_of_scipys_documentation() -> None:
    # Columns are the groups. The documented 0.0340767 leaves out the mirror image (3/15 against 8/15), whose statistic
    # is equal but for rounding: in fractions the p-value is 0.0341092, which SciPy gives for the mirrored table.
    assert stats.barnard_exact([[7, 12], [8, 3]], alternative="less").pvalue == pytest.approx(0.0340767, abs=1e-6)
    mirrored = stats.barnard_exact([[3, 8], [12, 7]], alternative="less", n=1024).pvalue
    for first, second in (((7, 15), (12, 15)), ((3, 15), (8, 15))):
        got = float(barnard(Counts(*first), Counts(*second), "second_better"))
        assert got == pytest.approx(mirrored, abs=1e-8) == pytest.approx(0.0341092, abs=1e-7)
    # boschloo_exact([[74, 31], [43, 32]], alternative="greater")
    assert float(boschloo(Counts(31, 63), Counts(74, 117), "second_better")) == pytest.approx(0.0355641, abs=1e-6)


SIDES: tuple[tuple[Alternative, str], ...] = (
    ("second_better", "less"),
    ("first_better", "greater"),
    ("two_sided", "two-sided"),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_against_the_definition(n0: int, n1: int, data) -> None:
    """The largest probability, over a dense grid of common rates, of tables at least as extreme."""
    k0, k1 = data.draw(st.integers(0, n0)), data.draw(st.integers(0, n1))
    rates = np.sin(np.linspace(0, np.pi / 2, 2001)) ** 2
    rows0, rows1 = (stats.binom.pmf(np.arange(n + 1), n, rates[:, None]) for n in (n0, n1))
    z = np.zeros((n0 + 1, n1 + 1))
    tail = np.ones((n0 + 1, n1 + 1))
    for i, j in itertools.product(range(n0 + 1), range(n1 + 1)):
        p = (i + j) / (n0 + n1)
        if 0 < p < 1:
            z[i, j] = (j / n1 - i / n0) / np.sqrt(p * (1 - p) * (1 / n0 + 1 / n1))
        tail[i, j] = stats.hypergeom.sf(j - 1, n0 + n1, i + j, n1)
    for region, got in (
        (z >= z[k0, k1] - 1e-9, barnard(Counts(k0, n0), Counts(k1, n1), "second_better")),
        (abs(z) >= abs(z[k0, k1]) - 1e-9, barnard(Counts(k0, n0), Counts(k1, n1))),
        (tail <= tail[k0, k1] * (1 + 1e-9), boschloo(Counts(k0, n0), Counts(k1, n1), "second_better")),
    ):
        assert float(got) == pytest.approx(np.einsum("pi,ij,pj->p", rows0, region * 1.0, rows1).max(), abs=2e-5)


@pytest.mark.parametrize(("k0", "n0", "k1", "n1"), [(2, 9, 1, 4), (7, 15, 12, 15), (3, 8, 8, 12)])
def test_against_scipy_in_every_direction(k0: int, n0: int, k1: int, n1: int) -> None:
    table = [[k0, k1], [n0 - k0, n1 - k1]]  # groups as columns
    a, b = Counts(k0, n0), Counts(k1, n1)
    for ours, theirs in SIDES:
        assert float(fisher(a, b, ours)) == pytest.approx(stats.fisher_exact(table, alternative=theirs)[1], abs=1e-9)
        for test, reference in ((barnard, stats.barnard_exact), (boschloo, stats.boschloo_exact)):
            got = reference(table, alternative=theirs, n=256).pvalue
            assert float(test(a, b, ours)) == pytest.approx(got, abs=2e-3)
            assert float(test(a, b, ours)) >= got - 1e-9  # SciPy's maximum over a few points lies below


@pytest.mark.parametrize("test", [barnard, boschloo, fisher])
@pytest.mark.parametrize("alternative", ["second_better", "two_sided"])
def test_the_level_is_kept_by_enumeration(test, alternative) -> None:
    n0, n1 = 7, 9
    p_values = np.array(
        [[float(test(Counts(i, n0), Counts(j, n1), alternative)) for j in range(n1 + 1)] for i in range(n0 + 1)]
    )
    for p, level in itertools.product((0.02, 0.2, 0.37, 0.5, 0.9), (0.01, 0.05, 0.2)):
        weights = np.outer(stats.binom.pmf(range(n0 + 1), n0, p), stats.binom.pmf(range(n1 + 1), n1, p))
        assert weights[p_values <= level].sum() <= level + 1e-9


def test_no_evidence_is_a_p_value_of_one() -> None:
    for test in (barnard, boschloo, fisher):
        for a, b in (((0, 5), (0, 7)), ((5, 5), (7, 7)), ((0, 0), (3, 4)), ((2, 4), (0, 0)), ((3, 8), (3, 8))):
            assert float(test(Counts(*a), Counts(*b))) == pytest.approx(1.0)


def test_mcnemar_in_every_direction() -> None:
    table = PairedTable(both=10, first_only=3, second_only=11, neither=4)
    swap = {"less": "greater", "greater": "less", "two-sided": "two-sided"}
    for ours, name in SIDES:
        theirs = swap[name]
        assert float(mcnemar(table, ours)) == pytest.approx(
            stats.binomtest(11, 14, alternative=theirs).pvalue, abs=1e-12
        )
    assert float(mcnemar(PairedTable(5, 0, 0, 5), "second_better")) == 1.0


@pytest.mark.slow
def test_mcnemar_against_statsmodels() -> None:
    table = PairedTable(both=10, first_only=3, second_only=11, neither=4)
    statsmodels = pytest.importorskip("statsmodels.stats.contingency_tables")
    assert float(mcnemar(table)) == pytest.approx(statsmodels.mcnemar([[10, 3], [11, 4]], exact=True).pvalue, abs=1e-12)


def test_readable_and_strict() -> None:
    assert str(barnard(Counts(3, 10), Counts(8, 10), "second_better")) == "p = 0.02069 (Barnard, second better)"
    with pytest.raises(ConfigError):
        Counts(4, 3)
    with pytest.raises(UnknownNameError, match="two_sided"):
        fisher(Counts(1, 2), Counts(1, 2), "two-sided")  # pyright: ignore[reportArgumentType]
