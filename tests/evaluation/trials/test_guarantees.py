"""Looking again and again: the naive way breaks its promise, the engine's rules keep theirs; exactly, not by luck."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.evaluation.statistics.operating import operating, pair_law
from robot_stack.evaluation.statistics.power import rejection_region
from robot_stack.evaluation.trials.plan import Stopping
from robot_stack.evaluation.trials.stopping import StoppingRule, make_test
from tests.evaluation.trials.studies import make_plan


def peeking(looks: range, alpha: float) -> np.ndarray:
    """Thresholds of somebody who makes a whole one-sided test at every look; row t is never crossed in between."""
    n = max(looks)
    thresholds = np.full((n + 1, n + 1), n + 1, dtype=np.int16)
    for t in looks:
        region = rejection_region("boschloo", t, t, alpha)
        thresholds[t, : t + 1] = np.where(region.any(axis=1), region.argmax(axis=1), n + 1)
    return thresholds


def test_two_looks_by_hand() -> None:
    """Fair coins. After 3 pairs only 0 against 3 is significant: (1/2)^3 (1/2)^3 = 1/64. A second look, after 4
    pairs, adds 0/4 against 3/4 whose failure came among the first three (1/16 · 3/16), and 1/4 against 4/4 whose
    success did (3/16 · 1/16); 0/4 against 4/4 had stopped at 3 already. 1/64 + 6/256 = 10/256."""
    alpha = 0.04
    assert np.argwhere(rejection_region("boschloo", 3, 3, alpha)).tolist() == [[0, 3]]
    assert np.argwhere(rejection_region("boschloo", 4, 4, alpha)).tolist() == [[0, 3], [0, 4], [1, 4]]
    found = operating(peeking(range(3, 5), alpha), None, pair_law(0.5, 0.5))
    assert found.second_better == pytest.approx(10 / 256, abs=1e-12)
    assert found.decided_by[3] == pytest.approx(1 / 64, abs=1e-12)


def test_the_same_by_trying_every_sequence() -> None:
    alpha, n = 0.04, 5
    regions = {t: rejection_region("boschloo", t, t, alpha) for t in range(3, n + 1)}
    stopped = Fraction(0)
    for sequence in product([(0, 0), (0, 1), (1, 0), (1, 1)], repeat=n):
        sums = np.cumsum(sequence, axis=0)
        stopped += any(regions[t][tuple(sums[t - 1])] for t in regions)
    found = operating(peeking(range(3, n + 1), alpha), None, pair_law(0.5, 0.5))
    assert found.second_better == pytest.approx(float(stopped / 4**n), abs=1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.8])
def test_peeking_quadruples_the_error_and_the_sequential_test_keeps_it(rate: float) -> None:
    law = pair_law(rate, rate)
    side = peeking(range(5, 101, 5), 0.025)
    assert operating(side, side, law).decided > 0.17, "each look alone is at 0.05"
    ours = make_test(Stopping("barnard", 0.05, 100), 0.05).operating(law)  # type: ignore[attr-defined]
    assert 0.02 < ours.decided <= 0.05 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["barnard", "pairs", "e-process"])
@pytest.mark.parametrize("arms", [2, 3])
def test_a_thousand_studies_of_equal_policies(rule: str, arms: int) -> None:
    stopping = StoppingRule(make_plan(arms=arms, n_max=100, stopping=Stopping(rule, 0.05, 100)))  # type: ignore[arg-type]
    outcomes = (generator(17, arms).random((1000, 100, arms)) < 0.6).astype(int).tolist()
    wrong = sum(any(v.decision.value.endswith("better") for v in stopping.verdicts(study)) for study in outcomes)
    assert wrong <= 50 + 2.6 * (1000 * 0.05 * 0.95) ** 0.5
