"""The control loop keeps its promises: order, deadlines, endings, and what happens when something breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from robot_stack.core.action import ActionChunk
from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.errors import NonFiniteError, ShapeError
from robot_stack.core.observation import Observation
from robot_stack.runtime.loop import run_episode
from tests.worlds import DT, PointConfig, PointExpert, make_point_world


class Diary:
    """Writes down everything it is told."""

    def __init__(self) -> None:
        self.contexts: list[EpisodeContext] = []
        self.steps: list[Step] = []
        self.ends: list[EpisodeResult | None] = []

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        self.contexts.append(context)

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_end(self, result: EpisodeResult | None) -> None:
        self.ends.append(result)


class Fixed:
    """Answers every question with the same chunk, and remembers what it was shown."""

    def __init__(self, actions: np.ndarray, history: int = 1) -> None:
        self.actions, self.history = actions, history
        self.shown: list[list[int]] = []

    def reset(self, instruction: str, seed: int) -> None:
        self.shown.clear()

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        self.shown.append([o.sequence for o in history])
        return ActionChunk(self.actions)


class SlowClock:
    """Simulated time in which every look at the clock costs ``cost_s``."""

    def __init__(self, cost_s: float) -> None:
        self.time_s, self.cost_s = 0.0, cost_s
        self.slept_until: list[float] = []

    def now(self) -> float:
        self.time_s += self.cost_s
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        self.slept_until.append(time_s)
        self.time_s = max(self.time_s, time_s)


def test_the_expert_succeeds_and_everything_is_told_in_order() -> None:
    world, diary = make_point_world(), Diary()
    result = run_episode(world.robot, PointExpert(), world.task, seed=3, subscribers=[diary], driver_name="expert")
    assert result.success and result.ending == "success"
    assert result.steps == len(diary.steps) == result.success_step + 1  # type: ignore[operator]
    assert diary.contexts[0].driver == "expert" and diary.contexts[0].seed == 3
    assert diary.ends == [result]
    assert [s.index for s in diary.steps] == list(range(result.steps))
    for step, following in zip(diary.steps, diary.steps[1:], strict=False):
        assert step.next_observation is following.observation
    assert result.total_reward == pytest.approx(sum(s.score.reward for s in diary.steps))
    halfway = result.milestones["halfway"]
    assert halfway is not None and halfway < result.milestones["at_goal"]  # type: ignore[operator]


def test_equal_seeds_give_equal_episodes() -> None:
    def positions(seed: int) -> np.ndarray:
        world, diary = make_point_world(), Diary()
        run_episode(world.robot, PointExpert(0.3), world.task, seed=seed, subscribers=[diary])
        return np.stack([s.observation.state for s in diary.steps])

    np.testing.assert_array_equal(positions(5), positions(5))
    assert positions(5)[0].tolist() != positions(6)[0].tolist()


def test_chunks_are_used_up_and_history_is_shown_oldest_first() -> None:
    world, driver = make_point_world(PointConfig(horizon=7)), Fixed(np.zeros((3, 2)), history=2)
    result = run_episode(world.robot, driver, world.task, seed=0)
    assert result.steps == 7 and result.ending == "horizon"
    assert driver.shown == [[1, 1], [3, 4], [6, 7]]


def test_steps_after_success_are_recorded() -> None:
    world = make_point_world()
    short = run_episode(world.robot, PointExpert(), world.task, seed=3)
    longer = run_episode(world.robot, PointExpert(), world.task, seed=3, steps_after_success=4)
    full = run_episode(world.robot, PointExpert(), world.task, seed=3, stop_on_success=False)
    assert longer.steps == short.steps + 4
    assert longer.success_step == full.success_step == short.success_step
    assert full.steps == world.task.horizon


def test_interventions_are_counted() -> None:
    world = make_point_world(PointConfig(horizon=5))
    result = run_episode(world.robot, Fixed(np.full((1, 2), 7.0)), world.task, seed=0)
    assert result.interventions == 5


def test_deadlines_are_absolute_and_misses_are_counted() -> None:
    world = make_point_world(PointConfig(horizon=10))
    quick, slow = SlowClock(0.001), SlowClock(2 * DT)
    on_time = run_episode(world.robot, Fixed(np.zeros((1, 2))), world.task, seed=0, clock=quick)
    late = run_episode(world.robot, Fixed(np.zeros((1, 2))), world.task, seed=0, clock=slow)
    assert on_time.overruns == 0 and late.overruns == 10
    start_s = quick.slept_until[0] - DT
    np.testing.assert_allclose(quick.slept_until, start_s + DT * np.arange(1, 11))


@pytest.mark.parametrize(
    ("actions", "error"), [(np.full((1, 2), np.nan), NonFiniteError), (np.zeros((1, 3)), ShapeError)]
)
def test_a_bad_action_never_reaches_the_robot(actions: np.ndarray, error: type[Exception]) -> None:
    world, diary = make_point_world(), Diary()
    with pytest.raises(error, match="test/point"):
        run_episode(world.robot, Fixed(actions), world.task, seed=0, subscribers=[diary])
    assert world.robot.commands == 0  # type: ignore[attr-defined]
    assert world.robot.stopped == "the episode broke off"  # type: ignore[attr-defined]
    assert diary.ends == [None]


def test_when_the_driver_or_robot_raises_the_robot_stops_and_nobody_counts_the_episode() -> None:
    class Broken(Fixed):
        def act(self, history: Sequence[Observation]) -> ActionChunk:
            raise RuntimeError("no idea")

    world, diary = make_point_world(), Diary()
    with pytest.raises(RuntimeError, match="no idea"):
        run_episode(world.robot, Broken(np.zeros((1, 2))), world.task, seed=0, subscribers=[diary])
    assert world.robot.stopped and diary.ends == [None]  # type: ignore[attr-defined]

    world, diary = make_point_world(PointConfig(bad_seeds=(4,))), Diary()
    with pytest.raises(ValueError, match="fell off"):
        run_episode(world.robot, PointExpert(), world.task, seed=4, subscribers=[diary])
    assert world.robot.stopped and diary.ends == [None]  # type: ignore[attr-defined]
