"""Strengths from judgements: closed forms, the MM algorithm, recovery, coverage of the errors, undetermined data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.evaluation.statistics.bradley_terry import Judgement, bradley_terry


def simulate(strengths: list[float], tie: float, each: int, rng: np.random.Generator) -> list[Judgement]:
    out: list[Judgement] = []
    for (i, s), (j, t) in itertools.combinations(enumerate(strengths), 2):
        odds = np.exp([(s - t) / 2, (t - s) / 2, tie])
        for k in rng.choice(3, each, p=odds / odds.sum()):
            out.append((str(i), str(j), ("first", "second", "tie")[k]))
    return out


def test_two_policies_in_closed_form() -> None:
    judgements: list[Judgement] = [("x", "y", "first")] * 30 + [("y", "x", "first")] * 10
    fit = bradley_terry(["x", "y"], judgements)
    assert fit.strengths == pytest.approx((math.log(3) / 2, -math.log(3) / 2))
    assert fit.probability("x", "y") == pytest.approx((0.75, 0.25, 0))
    gap = fit.difference("x", "y")
    assert gap.value == pytest.approx(math.log(3))
    assert gap.high - gap.value == pytest.approx(1.959964 * math.sqrt(1 / 30 + 1 / 10), rel=1e-6)
    tied = bradley_terry(["x", "y"], [*judgements, *[("x", "y", "tie")] * 20])
    assert tied.probability("x", "y") == pytest.approx((30 / 60, 10 / 60, 20 / 60))
    assert tied.judgements == 60


def test_against_the_mm_algorithm() -> None:
    """Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32, 2004."""
    judgements = simulate([0.8, 0.1, -0.2, -0.7], -30.0, 25, np.random.default_rng(0))
    wins = np.zeros((4, 4))
    for a, b, outcome in judgements:
        wins[(int(a), int(b)) if outcome == "first" else (int(b), int(a))] += 1
    skill = np.ones(4)
    for _ in range(2000):
        pairs = (wins + wins.T) / (skill[:, None] + skill[None, :])
        skill = wins.sum(1) / pairs.sum(1)
    expected = np.log(skill) - np.log(skill).mean()
    assert bradley_terry(list("0123"), judgements).strengths == pytest.approx(expected, abs=1e-6)


def test_gradient_vanishes_and_errors_cover() -> None:
    truth, rng, inside = [0.7, 0.2, -0.3, -0.6], np.random.default_rng(1), 0
    for _ in range(150):
        fit = bradley_terry(list("0123"), simulate(truth, -0.5, 30, rng))
        assert sum(fit.strengths) == pytest.approx(0, abs=1e-9)
        assert (np.array(fit.covariance).sum(1) == pytest.approx(0, abs=1e-9)) and fit.tie is not None
        gap = fit.difference("0", "3")
        inside += gap.low <= 1.3 <= gap.high
    assert 0.9 <= inside / 150 <= 0.99
    many = bradley_terry(list("0123"), simulate(truth, -0.5, 4000, rng))
    assert many.strengths == pytest.approx(truth, abs=0.06) and many.tie == pytest.approx(-0.5, abs=0.06)
    assert str(many).startswith("0 +0.")


def test_no_other_strengths_are_likelier() -> None:
    rng = np.random.default_rng(2)
    judgements = simulate([0.5, 0.0, -0.5], 0.2, 12, rng)
    fit = bradley_terry(list("012"), judgements)
    for _ in range(50):
        other = np.array(fit.strengths) + 0.2 * rng.standard_normal(3)
        tie = (fit.tie or 0) + 0.2 * rng.standard_normal()
        total = 0.0
        for a, b, outcome in judgements:
            gap = (other[int(a)] - other[int(b)]) / 2
            odds = {"first": gap, "second": -gap, "tie": tie}
            total += odds[outcome] - np.logaddexp.reduce(list(odds.values()))
        assert total <= fit.log_likelihood + 1e-12


def test_undetermined_strengths_are_refused_with_the_reason() -> None:
    always: list[Judgement] = [("a", "b", "first")] * 5 + [("b", "c", "first"), ("c", "b", "first")]
    with pytest.raises(ConfigError, match=r"leads from 'b' to 'a'"):
        bradley_terry(["a", "b", "c"], always)
    fit = bradley_terry(["a", "b", "c"], always, prior=0.5)
    assert fit.strengths[0] > 1 > abs(fit.strengths[1] - fit.strengths[2]) and np.isfinite(fit.standard_errors).all()
    with pytest.raises(ConfigError):
        bradley_terry(["a", "b", "c"], [("a", "b", "tie")])
    assert bradley_terry(["a", "b"], [("a", "b", "tie")] * 3, prior=0.5).strengths == pytest.approx((0, 0))


def test_bad_input_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        bradley_terry(["a", "b"], [("a", "d", "tie")])
    with pytest.raises(UnknownNameError):
        bradley_terry(["a", "b"], [("a", "b", "draw")])
    for policies in ([], ["a"], ["a", "a"]):
        with pytest.raises(ConfigError):
            bradley_terry(policies, [])
    with pytest.raises(ConfigError):
        bradley_terry(["a", "b"], [("a", "a", "tie")])
    with pytest.raises(ConfigError):
        bradley_terry(["a", "b"], [("a", "b", "tie")], prior=-1)
