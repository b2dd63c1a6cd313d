"""Power and numbers of trials against published figures and enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.evaluation.statistics.operating import operating, pair_law
from robot_stack.evaluation.statistics.p_value import Counts
from robot_stack.evaluation.statistics.power import (
    FixedTest,
    detectable,
    fixed_power,
    fixed_trials,
    peeking_thresholds,
    rejection_region,
    sequential_trials,
)
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard
from robot_stack.evaluation.statistics.two_by_two import barnard, boschloo, fisher


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(("n0", "n1", "alpha"), [(9, 9, 0.05), (6, 11, 0.1), (14, 3, 0.05), (1, 1, 0.05), (0, 4, 0.05)])
def test_regions_are_where_the_p_value_is_small(n0: int, n1: int, alpha: float) -> None:
    tests: dict[FixedTest, Any] = {"barnard": barnard, "boschloo": boschloo, "fisher": fisher}
    for name, test in tests.items():
        region = rejection_region(name, n0, n1, alpha)
        p_values = [
            [float(test(Counts(i, n0), Counts(j, n1), "second_better")) for j in range(n1 + 1)] for i in range(n0 + 1)
        ]
        assert (region == (np.array(p_values) <= alpha + 1e-10)).all()


@pytest.mark.parametrize(
    ("trials", "first", "second", "power"),
    [
        (50, 0.5, 0.7, 0.637),
        (50, 0.5, 0.75, 0.823),
        (50, 0.5, 0.8, 0.940),
        (50, 0.7, 0.9, 0.815),
        (50, 0.8, 0.9, 0.396),
        (50, 0.8, 0.95, 0.757),
        (50, 0.5, 0.6, 0.242),
        (20, 0.5, 0.7, 0.316),
        (20, 0.5, 0.8, 0.587),
        (20, 0.5, 0.9, 0.866),
    ],
)
def test_reference_power_of_barnards_test(trials, first, second, power) -> None:
    assert fixed_power("barnard", first, second, trials, 0.05, "second_better") == pytest.approx(power, abs=6e-4)


@pytest.mark.parametrize(
    ("first", "second", "one_sided", "two_sided"),
    [
        (0.5, 0.9, 17, 20),
        (0.5, 0.8, 32, 40),
        (0.5, 0.7, 77, 95),
        (0.6, 0.8, 65, 81),
        (0.7, 0.9, 49, 61),
        (0.8, 0.95, 56, 72),
    ],
)
def test_reference_numbers_of_trials(first, second, one_sided, two_sided) -> None:
    assert fixed_trials("barnard", first, second, alternative="second_better").trials == one_sided
    assert fixed_trials("barnard", first, second).trials == two_sided
    assert fixed_trials("barnard", second, first).trials == two_sided
    assert fixed_trials("barnard", 1 - first, 1 - second).trials == two_sided


def test_power_is_a_probability_under_the_alternative() -> None:
    region = rejection_region("boschloo", 12, 12, 0.05)
    weights = np.outer(stats.binom.pmf(range(13), 12, 0.3), stats.binom.pmf(range(13), 12, 0.8))
    assert fixed_power("boschloo", 0.3, 0.8, 12, 0.05, "second_better") == pytest.approx(weights[region].sum())
    assert fixed_power("barnard", 0.5, 0.5, 40, 0.05, "second_better") <= 0.05
    assert fixed_power("fisher", 0.5, 0.9, 30) < fixed_power("barnard", 0.5, 0.9, 30)
    assert fixed_power("barnard", 0.2, 0.9, 30, 0.05, "first_better") == 0


def test_trials_of_the_sequential_test() -> None:
    needed = sequential_trials(0.5, 0.8, alternative="second_better")
    exact = SequentialBarnard(needed.trials, 0.05, "second_better").operating(pair_law(0.5, 0.8))
    fewer = SequentialBarnard(needed.trials - 1, 0.05, "second_better").operating(pair_law(0.5, 0.8))
    assert fewer.second_better < 0.8 <= exact.second_better == needed.power
    assert 32 <= needed.trials <= 44 and needed.expected == exact.expected_pairs < 32
    assert "trials of each policy" in str(needed)
    assert sequential_trials(0.8, 0.5).trials == sequential_trials(0.5, 0.8).trials > needed.trials


def test_detectable_difference() -> None:
    def power_at(p: float) -> float:
        return fixed_power("barnard", 0.5, p, 50, 0.05, "second_better")

    rate = detectable(power_at, 0.5)
    assert rate is not None and power_at(rate) == pytest.approx(0.8, abs=1e-3)
    assert detectable(lambda p: fixed_power("barnard", p, 0.5, 50, 0.05, "second_better"), 0.5, higher=False) == (
        pytest.approx(1 - rate, abs=1e-3)
    )
    assert detectable(lambda p: fixed_power("barnard", 0.9, p, 10), 0.9) is None


def test_peeking_by_hand() -> None:
    """Barnard's one-sided test at 5% after each of five pairs, at rate 1/2, counted by hand.

    Pair 3 rejects 0 against 3: 1 of 64 paths, 16/1024. Pair 4 rejects 0 against 3 and 1 against 4: 3 new paths each of
    256, 24/1024. Pair 5 rejects 0 against 3 and 2 against 5: 6 new paths each of 1024. In all 52/1024 > 5%. The
    sequential test with five pairs leaves the last two states out: 40/1024.
    """
    naive = operating(peeking_thresholds(5, 0.05), None, pair_law(0.5, 0.5))
    assert naive.decided_by * 1024 == pytest.approx([0, 0, 0, 16, 40, 52], abs=1e-9)
    ours = SequentialBarnard(5, 0.05, "second_better").operating(pair_law(0.5, 0.5))
    assert ours.decided_by * 1024 == pytest.approx([0, 0, 0, 16, 40, 40], abs=1e-9)


def test_peeking_goes_on_growing() -> None:
    often = operating(peeking_thresholds(60, 0.05), None, pair_law(0.4, 0.4)).second_better
    seldom = operating(peeking_thresholds(60, 0.05, every=20), None, pair_law(0.4, 0.4)).second_better
    once = operating(peeking_thresholds(60, 0.05, every=60), None, pair_law(0.4, 0.4)).second_better
    assert often > 0.15 > seldom > 0.07 > 0.05 >= once > 0.03


def test_bad_input_is_refused() -> None:
    for first, second in ((0.5, 0.5), (0.7, 0.5), (0.5, 1.2)):
        with pytest.raises(ConfigError):
            fixed_trials("barnard", first, second, alternative="second_better")
    with pytest.raises(ConfigError):
        fixed_trials("barnard", 0.5, 0.7, power=1.0)
    with pytest.raises(ConfigError):
        fixed_power("barnard", 0.5, 0.7, 10, alpha=0.9)
    with pytest.raises(UnknownNameError):
        fixed_power("bernard", 0.5, 0.7, 10)  # pyright: ignore[reportArgumentType]
