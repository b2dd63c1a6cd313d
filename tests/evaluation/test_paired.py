"""Paired comparison against published values, brute force and SciPy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.paired import PairedTable, bootstrap, mcnemar, newcombe, paired_table, tango

AIRWAYS = PairedTable(1, 1, 7, 12)  # Bentur et al., as analysed by Fagerland, Lydersen and Laake 2014
COUNTS = st.integers(0, 15)
TABLES = st.builds(PairedTable, COUNTS, COUNTS, COUNTS, COUNTS).filter(lambda t: t.pairs > 0)


def test_published_values() -> None:
    assert AIRWAYS.difference == pytest.approx(-0.286, abs=5e-4)
    assert mcnemar(AIRWAYS) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(AIRWAYS, mid=True) == pytest.approx(0.0391, abs=5e-5)
    score = tango(AIRWAYS)
    assert (score.low, score.high) == pytest.approx((-0.517, -0.026), abs=5.1e-4)
    square = newcombe(AIRWAYS)
    assert (square.low, square.high) == pytest.approx((-0.507, -0.026), abs=5.1e-4)


def test_table_counts_pairs() -> None:
    first = [True, True, False, False, True]
    second = [True, False, True, False, False]
    table = paired_table(first, second)
    assert table == PairedTable(1, 2, 1, 1)
    assert table.pairs == 5 and table.difference == pytest.approx(0.2)
    with pytest.raises(ShapeError):
        paired_table([True], [])


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 5), (3, 4), (2, 9), (6, 6)])
def test_mcnemar_against_every_way_the_differing_starts_could_have_gone(b: int, c: int) -> None:
    extreme = exactly = 0
    for flips in itertools.product((0, 1), repeat=b + c):
        extreme += abs(2 * sum(flips) - (b + c)) >= abs(b - c)
        exactly += abs(2 * sum(flips) - (b + c)) == abs(b - c)
    total = 2 ** (b + c)
    assert mcnemar(PairedTable(3, b, c, 2)) == pytest.approx(extreme / total)
    if b + c:
        one_sided = stats.binom.cdf(min(b, c), b + c, 0.5) - 0.5 * stats.binom.pmf(min(b, c), b + c, 0.5)
        assert mcnemar(PairedTable(3, b, c, 2), mid=True) == pytest.approx(min(1.0, 2 * one_sided))


def score_by_brute_force(table: PairedTable, difference: float) -> float:
    """The score statistic with its nuisance parameter found by maximising the likelihood numerically."""
    n, b, c = table.pairs, table.first_only, table.second_only

    def cost(q: float) -> float:
        cells = ((b, q + difference), (c, q), (n - b - c, 1 - 2 * q - difference))
        return -sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (b - c - n * difference) / math.sqrt(n * (2 * q + difference - difference**2))


@pytest.mark.parametrize(
    "table", [AIRWAYS, PairedTable(20, 8, 3, 5), PairedTable(40, 5, 5, 0), PairedTable(2, 9, 1, 3)], ids=str
)
def test_the_ends_of_tangos_interval_are_where_the_score_is_critical(table: PairedTable) -> None:
    for confidence in (0.8, 0.95):
        z = stats.norm.ppf((1 + confidence) / 2)
        interval = tango(table, confidence)
        assert score_by_brute_force(table, interval.low) == pytest.approx(z, abs=2e-3)
        assert score_by_brute_force(table, interval.high) == pytest.approx(-z, abs=2e-3)


@given(TABLES)
def test_intervals_hold_the_difference_and_mirror(table: PairedTable) -> None:
    swapped = PairedTable(table.both, table.second_only, table.first_only, table.neither)
    for interval in (tango, newcombe):
        one, other = interval(table), interval(swapped)
        assert -1 - 1e-9 <= one.low <= one.value <= one.high <= 1 + 1e-9
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-6)
    assert 0 < mcnemar(table, mid=True) <= mcnemar(table) <= 1


@pytest.mark.parametrize("table", [PairedTable(0, 9, 0, 0), PairedTable(0, 0, 9, 0), PairedTable(9, 0, 0, 0)])
def test_extreme_tables_have_intervals(table: PairedTable) -> None:
    interval = tango(table)
    assert -1 <= interval.low <= table.difference <= interval.high <= 1
    assert interval.high - interval.low > 0.1
    assert (tango(PairedTable(0, 0, 0, 0)).low, tango(PairedTable(0, 0, 0, 0)).high) == (-1, 1)


def test_tango_covers_about_as_often_as_promised() -> None:
    rng = generator(5)
    n, cells = 40, np.array([0.5, 0.25, 0.1, 0.15])
    draws = rng.multinomial(n, cells, 1000)
    covered = 0
    for draw in draws:
        interval = tango(PairedTable(*(int(k) for k in draw)))
        covered += interval.low <= cells[1] - cells[2] <= interval.high
    assert 0.93 < covered / len(draws) < 0.975


def test_bootstrap_agrees_with_scipy_and_repeats() -> None:
    rng = generator(3)
    second = rng.exponential(20, 60)
    first = second + rng.exponential(5, 60) - 3
    ours = bootstrap(first, second, seed=1)
    reference = stats.bootstrap(
        (first - second,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = reference.high - reference.low
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=0.06 * width)
    assert ours == bootstrap(first, second, seed=1)
    assert ours.value == pytest.approx(np.mean(first - second))
    assert bootstrap([1.0, 2.0], [0.0, 1.0]).low == bootstrap([1.0, 2.0], [0.0, 1.0]).high == 1.0
    with pytest.raises(ConfigError):
        bootstrap([1.0], [2.0])
