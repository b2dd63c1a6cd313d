"""Comparisons: pairs are matched by start, unequal conditions are refused, Holm as published."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.compare import NotComparableError, compare, holm, markdown
from robot_stack.evaluation.config import EvaluationConfig
from robot_stack.evaluation.evaluate import Subject, evaluate
from robot_stack.evaluation.paired import mcnemar, paired_table, tango
from robot_stack.evaluation.results import EvaluationResult
from robot_stack.runtime.fleet import Fleet, FleetConfig
from tests.worlds import PointBatchDriver, PointConfig, make_point_world


def run(name: str, episodes: int = 24, horizon: int | None = None, **driver) -> EvaluationResult:
    config = EvaluationConfig(episodes, horizon=horizon)
    subject = Subject(name, PointBatchDriver(**driver))
    return evaluate(partial(make_point_world, PointConfig()), subject, config, fleet=Fleet(FleetConfig(0, 4)))


@pytest.fixture(scope="module")
def results() -> list[EvaluationResult]:
    return [run("good"), run("noisy", noise=1.5), run("weak", weak=True)]


def test_everything_is_taken_from_the_matched_starts(results) -> None:
    shuffled = replace(results[1], episodes=tuple(reversed(results[1].episodes)))
    comparison = compare([results[0], shuffled, results[2]])
    assert comparison.starts == 24 and comparison.tasks == ("point-reach",)
    assert [d.name for d in comparison.drivers] == ["good", "noisy", "weak"]
    assert [d.success for d in comparison.drivers] == [r.success for r in results]
    good, noisy, weak = ([e.success for e in r.episodes] for r in results)
    assert sum(good) > sum(noisy) > 0 and sum(good) > sum(weak), "the drivers differ"
    for pair, (a, b) in zip(comparison.pairs, ((good, noisy), (good, weak), (noisy, weak)), strict=True):
        table = paired_table(a, b)
        assert pair.table == table and pair.p_value == mcnemar(table) and pair.difference == tango(table)
        assert pair.p_adjusted >= pair.p_value
    first = comparison.pairs[0]
    steps = [
        (a.success_step, b.success_step)
        for a, b in zip(results[0].episodes, results[1].episodes, strict=True)
        if a.success and b.success
    ]
    assert first.steps and first.steps.value == pytest.approx(np.mean([a - b for a, b in steps]))
    assert first.reward and first.reward.low <= first.reward.value <= first.reward.high
    assert comparison == compare([results[0], results[1], results[2]])


def test_only_common_starts_count(results) -> None:
    short = replace(results[1], episodes=results[1].episodes[:10])
    comparison = compare([results[0], short])
    assert comparison.starts == 10 and [d.left_out for d in comparison.drivers] == [14, 0]
    none = replace(results[1], episodes=tuple(replace(e, seed=e.seed + 1000) for e in results[1].episodes))
    with pytest.raises(NotComparableError, match="share no start"):
        compare([results[0], none])


def test_several_tasks_are_pooled(results) -> None:
    other = [replace(r, task="point-other") for r in results[:2]]
    comparison = compare([*results[:2], *other])
    assert comparison.starts == 48 and comparison.tasks == ("point-reach", "point-other")
    assert comparison.pairs[0].table.pairs == 48


def test_unequal_conditions_are_refused(results) -> None:
    with pytest.raises(NotComparableError, match="horizon: 20 against 60"):
        compare([results[0], run("hurried", horizon=20)])
    with pytest.raises(NotComparableError, match="robot: '000"):
        compare([results[0], replace(results[1], robot_fingerprint="0" * 64)])
    with pytest.raises(ConfigError, match="at least two drivers"):
        compare(results[:1])
    with pytest.raises(ConfigError, match="two evaluations of 'good'"):
        compare([results[0], results[0]])


def test_a_driver_that_looks_can_be_compared_with_one_that_does_not(results) -> None:
    world = partial(make_point_world, PointConfig(camera=8))
    subject = Subject("looking", PointBatchDriver())
    looking = evaluate(world, subject, EvaluationConfig(6), fleet=Fleet(FleetConfig(0, 4)))
    assert looking.embodiment_fingerprint != results[0].embodiment_fingerprint
    pair = compare([results[0], looking]).pairs[0]
    assert pair.table.first_only == pair.table.second_only == 0 and pair.p_value == 1.0


def test_markdown_shows_both_tables(results) -> None:
    text = markdown(compare(results))
    s = results[0].success
    assert f"| good | {s.successes}/24 | {s.rate:.1%} | {s.low:.1%} to {s.high:.1%} |" in text
    assert text.count("points") == 3 and "24 equal starts of point-reach" in text


def test_holm_as_published() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == [] and holm([0.7]) == [0.7]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_stepping_down_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[place] * (len(p_values) - rank) > level:
                break
            rejected.add(place)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
