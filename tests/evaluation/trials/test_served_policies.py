"""Blind trials whose policies run in server processes: the same labels, the same stage, and no word of which it is."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_stack.cli.main import main
from robot_stack.console.trials.world_stage import Budget, WorldStage
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.world import World
from robot_stack.evaluation.evaluate import Subject
from robot_stack.evaluation.trials.plan import InitialCondition, Stopping
from robot_stack.evaluation.trials.simulate import run_simulated
from robot_stack.evaluation.trials.store import EVENTS, TrialStore, read_store
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.policy_process import PolicyProcess, ProcessDriver
from tests.evaluation.trials.studies import make_plan, make_store
from tests.runtime.serving import ROBOT, point_policy
from tests.worlds import PointBatchDriver, PointConfig, make_point_world

WORLD = functools.partial(make_point_world, PointConfig(camera=32, horizon=15))
PLAIN_WORLD = functools.partial(make_point_world, PointConfig(horizon=40))


@pytest.fixture(scope="module")
def processes() -> Iterator[list[PolicyProcess]]:
    made = [PolicyProcess(functools.partial(point_policy, weak=weak)) for weak in (True, False)]
    yield made
    for process in made:
        process.close()


def labels_of(root: Path) -> list[tuple[int, int, bool, tuple[bool, ...]]]:
    trials = read_store(root).state.trials.values()
    return [(t.block, t.place, t.judgement.success, t.judgement.milestones) for t in trials if t.judgement]


def test_a_study_through_servers_has_the_same_labels(processes: list[PolicyProcess], tmp_path: Path) -> None:
    plan = make_plan(n_max=6, stopping=Stopping("fixed", 0.05, 6))
    here = [Subject(f"policy {i}", driver=PointBatchDriver(weak=weak)) for i, weak in enumerate((True, False))]
    there = [Subject(f"policy {i}", driver=ProcessDriver(p, ROBOT)) for i, p in enumerate(processes)]
    found = []
    for name, subjects in (("here", here), ("there", there)):
        root = make_store(tmp_path / name, plan)
        with TrialStore(root) as store, Fleet(FleetConfig(processes=0, slots=4)) as fleet:
            run_simulated(store, PLAIN_WORLD, subjects, fleet=fleet)
        found.append(labels_of(root))
    assert found[0] == found[1] and len(found[0]) == 12
    assert len({success for _, _, success, _ in found[0]}) == 2, "labels that could differ"


def test_a_stage_outlives_a_policy_that_dies_and_tells_no_address(processes: list[PolicyProcess]) -> None:
    def drivers(world: World) -> list[EpisodeDriver]:
        return [EpisodeDriver(ProcessDriver(process, world.robot.embodiment)) for process in processes]

    def run(arm: int) -> None:
        stage.show(InitialCondition("here", seed=3))
        stage.start(arm, None)
        for _ in range(6000):
            if stage.status().state == "done":
                return
            pause.wait(0.01)
        raise AssertionError("the trial does not end")

    pause, budget = threading.Event(), Budget()
    stage = WorldStage(WORLD, drivers, budget=budget)
    try:
        stage.wait_until_ready()
        assert budget.seconds > 0, "both were measured through their servers"
        for arm in (0, 1):
            run(arm)
            assert stage.status().error == "" and stage.status().steps > 0
        ports = [process.address().url.rpartition(":")[2] for process in processes]
        stage.show(InitialCondition("here", seed=4))
        stage.start(1, None)
        while stage.status().steps < 2:
            pause.wait(0.005)
        os.kill(processes[1].pid, signal.SIGKILL)
        for _ in range(6000):
            if stage.status().state == "done":
                break
            pause.wait(0.01)
        told = stage.status().error
        assert "gone" in told and not any(word in told for word in (*ports, "127.0.0.1", "policy 1"))
        run(1)
        assert stage.status().error == "", "started anew with the next trial"
    finally:
        stage.close()


def test_the_command_line_runs_a_study_through_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("metaworld")
    root = tmp_path / "study"
    words = ["--task", "reach", "--policies", "sure=expert", "clumsy=expert:9", "--n-max", "4"]
    assert main(["trials", "plan", str(root), *words]) == 0
    capsys.readouterr()
    assert main(["trials", "run", str(root), "--sim", "--processes", "0", "--policy-server"]) == 0
    told = capsys.readouterr()
    log = "".join((root / EVENTS).read_text().splitlines()[1:])  # the first event is the plan, which is no secret
    assert not any(name in told.out + told.err + log for name in ("sure", "clumsy", "expert", "127.0.0.1"))
    judged = labels_of(root)
    assert len(judged) == 8 and 4 <= sum(success for _, _, success, _ in judged) < 8, "the sure one never fails"
