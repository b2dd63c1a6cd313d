from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from robot_stack.evaluation.evaluate import Subject
from robot_stack.evaluation.trials.errors import PlanError
from robot_stack.evaluation.trials.plan import InitialCondition, Stopping
from robot_stack.evaluation.trials.simulate import run_simulated
from robot_stack.evaluation.trials.store import TrialStore, read_key, read_store
from robot_stack.evaluation.trials.verify import verify_store
from robot_stack.runtime.fleet import Fleet, FleetConfig
from tests.evaluation.trials.studies import make_plan, make_store
from tests.worlds import PointBatchDriver, PointConfig, make_point_expert, make_point_world

WORLD = functools.partial(make_point_world, PointConfig(horizon=80))
SUBJECTS = (
    Subject("policy 0", driver=PointBatchDriver(weak=True)),
    Subject("policy 1", driver_maker=make_point_expert),
)


def labels_of(root: Path) -> list[tuple[int, int, bool, tuple[bool, ...]]]:
    trials = read_store(root).state.trials.values()
    return [(t.block, t.place, t.judgement.success, t.judgement.milestones) for t in trials if t.judgement]


def run(root: Path, world=WORLD, processes: int = 0, subjects=SUBJECTS, **kwargs) -> int:
    with TrialStore(root) as store, Fleet(FleetConfig(processes=processes, slots=4)) as fleet:
        return run_simulated(store, world, subjects, fleet=fleet, **kwargs)


def test_a_clear_difference_stops_early_and_the_log_is_in_the_plans_order(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s", make_plan(n_max=40))
    blocks = run(root, blocks_at_once=4)
    assert 8 <= blocks < 40
    state = read_store(root).state
    assert state.over and state.decided_at is not None and state.decided_at <= blocks
    order = [(t.block, t.place) for t in state.trials.values()]
    assert order == sorted(order), "the log does not group trials by policy"
    assert all(check.ok for check in verify_store(root))
    key = read_key(root, state)
    wins = [0, 0]
    for trial in state.trials.values():
        assert trial.judgement is not None
        wins[key.arm(trial.block, trial.place)] += trial.judgement.success
    assert wins[1] >= wins[0] + 6


def test_progress_does_not_tell_which_policy_is_running(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s", make_plan(n_max=8, stopping=Stopping("fixed", 0.05, 8)))
    told: list[tuple[int, int]] = []
    run(root, blocks_at_once=4, progress=lambda p: told.append((p.done, p.successes)))
    assert [done for done, _ in told] == list(range(1, 17))
    first, second = {n for done, n in told if done <= 8}, {n for done, n in told if done > 8}
    assert first == {0} and len(second) == 1 and second != {0}, "successes are pooled over whole blocks"


def test_processes_and_interruptions_change_no_label(tmp_path: Path) -> None:
    plan = make_plan(n_max=9, stopping=Stopping("fixed", 0.05, 9))
    alone = make_store(tmp_path / "alone", plan)
    run(alone)
    broken = make_store(tmp_path / "broken", plan)

    class Enough(Exception):
        pass

    def stop_at(done: int):
        def listen(progress) -> None:
            if progress.done >= done:
                raise Enough

        return listen

    for done in (3, 11):
        with pytest.raises(Enough):
            run(broken, processes=1, blocks_at_once=2, progress=stop_at(done))
    run(broken, processes=1, blocks_at_once=3)
    assert labels_of(broken) == labels_of(alone)


def test_a_crash_of_the_simulator_is_excluded_and_one_of_the_policy_is_a_failure(tmp_path: Path) -> None:
    plan = make_plan(n_max=3, stopping=Stopping("fixed", 0.05, 3), max_reruns=1)
    root = make_store(tmp_path / "s", plan)
    world = functools.partial(make_point_world, PointConfig(horizon=30, deadly_seeds=(100,), bad_seeds=(101,)))
    run(root, world=world, processes=1)
    state = read_store(root).state
    by_condition: dict[str, list] = {}
    for trial in state.trials.values():
        by_condition.setdefault(state.conditions[trial.block], []).append(trial)
    assert {t.exclusion for t in by_condition["c0"]} == {"simulator crash"} and len(by_condition["c0"]) == 4
    assert all(t.judgement and not t.judgement.success and "fell off" in t.judgement.notes for t in by_condition["c1"])
    assert state.over and len(state.counted_blocks()) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"conditions": (InitialCondition("a"),)}, "no seed"),
        ({"conditions": tuple(InitialCondition(f"c{i}", seed=i % 3) for i in range(6))}, "same episode"),
        ({"exclusion_reasons": ("hardware fault",)}, "simulator crash"),
    ],
)
def test_what_simulation_cannot_run_honestly_is_refused(tmp_path: Path, change: dict, told: str) -> None:
    root = make_store(tmp_path / "s", replace(make_plan(), **change))
    with pytest.raises(PlanError, match=told):
        run(root)
    assert not read_store(root).state.trials
