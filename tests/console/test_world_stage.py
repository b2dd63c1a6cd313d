from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_stack.console.trials.padding import FRAME_BYTES, padded_jpeg
from robot_stack.console.trials.world_stage import Budget, EvenDriver, PacedClock, WorldStage
from robot_stack.core.action import ActionChunk
from robot_stack.core.clock import MonotonicClock
from robot_stack.core.errors import RobotStackError
from robot_stack.core.observation import Observation
from robot_stack.core.world import World
from robot_stack.evaluation.trials.judged_task import JudgedTask
from robot_stack.evaluation.trials.plan import InitialCondition
from tests.console.rooms import make_drivers, point_stage
from tests.evaluation.trials.studies import HandClock
from tests.worlds import PointConfig, PointExpert, make_point_world

HERE = InitialCondition("here", seed=3)


def wait(check) -> None:
    """Until a stage's thread has done something; a minute means that it never will."""
    pause = threading.Event()
    for _ in range(6000):
        if check():
            return
        pause.wait(0.01)
    raise AssertionError("the stage does not get there")


def decode(frame: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@pytest.fixture
def stage():
    made = point_stage(horizon=25)
    made.wait_until_ready()
    yield made
    made.close()


def test_a_trial_is_shown_run_and_filmed(stage: WorldStage, tmp_path: Path) -> None:
    stage.show(HERE)
    wait(lambda: stage.target() != b"")
    start = decode(stage.target())
    assert start.shape == (96, 96, 3) and np.array_equal(start, decode(stage.frame()))
    stage.start(0, tmp_path / "T0001.mp4")
    assert stage.status().state == "moving"
    wait(lambda: stage.status().state == "done")
    status = stage.status()
    assert status.steps == 25 and status.elapsed_s == pytest.approx(25 * 0.05) and status.error == ""
    assert not np.array_equal(decode(stage.frame()), start) and np.array_equal(decode(stage.target()), start)
    film = cv2.VideoCapture(str(tmp_path / "T0001.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 13


def test_the_same_condition_is_the_same_scene(stage: WorldStage) -> None:
    pictures = []
    for condition in (HERE, InitialCondition("there", seed=4), HERE):
        before = stage.target()
        stage.show(condition)
        wait(lambda before=before: stage.target() != before)
        pictures.append(stage.target())
    assert pictures[0] == pictures[2] != pictures[1]


def test_a_stop_that_comes_at_once_is_not_lost(stage: WorldStage) -> None:
    for _ in range(5):
        stage.show(HERE)
        stage.start(0, None)
        stage.stop("evaluator")
        wait(lambda: stage.status().state == "done")
        assert stage.status().steps <= 1


def test_a_stage_outlives_what_breaks_in_a_trial() -> None:
    world = functools.partial(make_point_world, PointConfig(camera=32, horizon=25, bad_seeds=(5,)))
    stage = WorldStage(world, make_drivers)
    try:
        stage.wait_until_ready()
        stage.show(InitialCondition("bad", seed=5))
        stage.start(1, None)
        wait(lambda: stage.status().state == "done")
        assert "fell off the table" in stage.status().error
        stage.show(HERE)
        stage.start(0, None)
        wait(lambda: stage.status().state == "done")
        assert stage.status().error == "" and stage.status().steps == 25
    finally:
        stage.close()


def test_a_robot_that_cannot_be_made_is_told() -> None:
    def broken() -> None:
        raise OSError("no such arm")

    stage = WorldStage(broken, make_drivers)  # type: ignore[arg-type]
    with pytest.raises(RobotStackError, match="no such arm"):
        stage.wait_until_ready()


class Thinker:
    """Needs a fixed time for a decision, on a clock moved by hand."""

    history = 1

    def __init__(self, clock: HandClock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def reset(self, instruction: str, seed: int) -> None:
        self.clock.now_s += self.seconds / 10

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        self.clock.now_s += self.seconds
        return ActionChunk(np.zeros((1, 2)))


def test_every_decision_takes_as_long_as_the_slowest_policy_may_need() -> None:
    clock = HandClock()
    budget = Budget(clock)
    drivers = [EvenDriver(Thinker(clock, seconds), budget) for seconds in (0.002, 0.2, 0.03)]
    seen = Observation(np.zeros(2))
    for driver in drivers:
        driver.measure(seen, "go")
    assert budget.seconds == pytest.approx(0.22 * 1.5)
    for ask in (lambda d: d.act([seen]), lambda d: d.reset("go", 1)):
        taken = []
        for driver in drivers:
            before = clock.now()
            ask(driver)
            taken.append(clock.now() - before)
        assert taken == pytest.approx([budget.seconds] * 3)


def test_a_paced_clock_never_hurries_after_a_pause() -> None:
    clock = PacedClock()
    clock.sleep_until(0.01)
    assert clock.now() == 0.01
    clock._real -= 5.0  # the robot's thread was held up for five seconds
    clock.sleep_until(0.02)
    after = clock._real
    clock.sleep_until(0.03)
    assert clock._real - after == pytest.approx(0.01, abs=1e-6) or clock._real > after
    assert clock.now() == 0.03


def test_pictures_have_one_size_whatever_they_show() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    for image in (np.zeros((48, 64, 3), np.uint8), rng.integers(0, 255, (720, 1280, 3), np.uint8)):
        data = padded_jpeg(image)
        assert len(data) == FRAME_BYTES
        assert decode(data).shape[2] == 3


def test_a_task_that_only_a_person_judges_runs_to_its_horizon() -> None:
    def make() -> World:
        robot = make_point_world(PointConfig(camera=32)).robot
        return World(robot, JudgedTask("point", "push the point to the goal", horizon=15))

    stage = WorldStage(make, make_drivers, clock=MonotonicClock)
    try:
        stage.wait_until_ready()
        stage.show(HERE)
        stage.start(0, None)
        wait(lambda: stage.status().state == "done")
        assert (stage.status().steps, stage.status().error) == (15, "")
    finally:
        stage.close()


def test_the_robot_is_stopped_while_a_policy_still_thinks() -> None:
    thinking, enough = threading.Event(), threading.Event()

    class Absorbed(PointExpert):
        def act(self, history: Sequence[Observation]) -> ActionChunk:
            if history[-1].sequence > 3:
                thinking.set()
                enough.wait(30)
            return super().act(history)

    worlds: list[World] = []

    def make() -> World:
        worlds.append(make_point_world(PointConfig(camera=32)))
        return worlds[0]

    stage = WorldStage(make, lambda world: [Absorbed()])
    try:
        stage.wait_until_ready()
        stage.show(HERE)
        stage.start(0, None)
        assert thinking.wait(30)
        stage.stop("emergency stop")
        assert worlds[0].robot.stopped == "emergency stop"  # type: ignore[attr-defined]
        enough.set()
        wait(lambda: stage.status().state == "done")
    finally:
        enough.set()
        stage.close()
