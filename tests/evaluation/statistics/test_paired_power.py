"""Exact power of McNemar's test against enumeration and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.paired import PairedTable
from robot_stack.evaluation.statistics.operating import pair_law
from robot_stack.evaluation.statistics.paired_power import mcnemar_power, mcnemar_size, mcnemar_trials
from robot_stack.evaluation.statistics.power import fixed_trials
from robot_stack.evaluation.statistics.sequential import Alternative
from robot_stack.evaluation.statistics.two_by_two import mcnemar

SIDES: tuple[Alternative, ...] = ("second_better", "two_sided", "first_better")


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("law", [pair_law(0.3, 0.7, 0.2), pair_law(0.5, 0.5), pair_law(0.0, 1.0), pair_law(1.0, 1.0)])
def test_power_by_enumeration(alternative, law) -> None:
    total = 0.0
    for path in itertools.product(range(3), repeat=9):  # concordant, second only, first only
        second, first = path.count(1), path.count(2)
        p_value = float(mcnemar(PairedTable(9 - first - second, first, second, 0), alternative))
        if p_value <= 0.2 and (second > first) and alternative != "first_better":
            odds = (law.both + law.neither, law.second_only, law.first_only)
            total += float(np.prod([odds[cell] for cell in path]))
    assert mcnemar_power(law, 9, 0.2, alternative) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(("pairs", "alpha"), [(1, 0.05), (12, 0.05), (50, 0.05), (100, 0.01)])
def test_the_size_is_kept(pairs: int, alpha: float) -> None:
    size = mcnemar_size(pairs, alpha)
    assert size <= alpha
    for rate in (0.1, 0.5, 0.9):
        assert mcnemar_power(pair_law(rate, rate), pairs, alpha, "second_better") <= size + 1e-9
    assert size > 0.4 * alpha or pairs < 5


def test_alike_pairs_need_fewer_starts() -> None:
    needed = [mcnemar_trials(pair_law(0.5, 0.7, rho)).trials for rho in (0.0, 0.3, 0.6)]
    assert needed[0] > needed[1] > needed[2]
    assert needed[2] < 0.6 * fixed_trials("barnard", 0.5, 0.7).trials
    got = mcnemar_trials(pair_law(0.5, 0.7, 0.3))
    assert got.power >= 0.8 > mcnemar_power(pair_law(0.5, 0.7, 0.3), got.trials - 1)


def test_bad_input_is_refused() -> None:
    for bad in (lambda: mcnemar_trials(pair_law(0.5, 0.5)), lambda: mcnemar_trials(pair_law(0.4, 0.5), power=0.0)):
        with pytest.raises(ConfigError):
            bad()
    with pytest.raises(ConfigError):
        mcnemar_power(pair_law(0.5, 0.6), 10, alpha=0.0)
