"""Fleets: equal outcomes however wide, errors and deaths stay with their episode, nothing is left behind."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from functools import partial

import numpy as np
import pytest

from robot_stack.core.driver import BatchDriver
from robot_stack.core.episode import EpisodeResult
from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.core.world import World
from robot_stack.runtime.fleet import Fleet, FleetConfig, FleetError
from robot_stack.runtime.loop import EpisodeSpec, run_episode
from robot_stack.runtime.slots import EpisodeJob, EpisodeOutcome
from tests.worlds import PointBatchDriver, PointConfig, PointExpert, make_point_expert, make_point_world

PLAIN = PointConfig()
WORLD = partial(make_point_world, PLAIN)


class Trace:
    """Records the actions that were sent; a recorder."""

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []

    def on_start(self, context, first) -> None:
        self.sent = [first.state]

    def on_step(self, step) -> None:
        self.sent.append(np.concatenate([step.requested, step.receipt.sent, step.next_observation.state]))

    def on_end(self, result) -> None:
        pass

    def take(self) -> bytes:
        return np.concatenate(self.sent).tobytes()


class TorchSpy(Trace):
    def take(self) -> bool:
        return "torch" in sys.modules


class Unsendable(Trace):
    def take(self):
        return lambda: None


def make_trace(world: World, job: EpisodeJob) -> Trace:
    return Trace()


def make_spy(world: World, job: EpisodeJob) -> TorchSpy:
    return TorchSpy()


def make_unsendable(world: World, job: EpisodeJob) -> Unsendable:
    return Unsendable()


def jobs(seeds, config: PointConfig = PLAIN, **kwargs) -> list[EpisodeJob]:
    world = partial(make_point_world, config)
    return [EpisodeJob(i, EpisodeSpec(seed), world, **kwargs) for i, seed in enumerate(seeds)]


def by_index(outcomes) -> dict[int, EpisodeOutcome]:
    found = {o.job.index: o for o in outcomes}
    return dict(sorted(found.items()))


def results(outcomes) -> list[EpisodeResult | None]:
    return [o.result for o in by_index(outcomes).values()]


def one_by_one(seeds, driver: PointBatchDriver) -> list[EpisodeResult]:
    """The reference: run_episode, one episode and one decision after the other."""

    class Single:
        history = driver.history

        def reset(self, instruction: str, seed: int) -> None:
            driver.reset(0, instruction, seed)

        def act(self, history):
            return driver.act([0], [tuple(history)])[0]

    world = WORLD()
    return [run_episode(world.robot, Single(), world.task, seed=seed) for seed in seeds]


WIDTHS = [FleetConfig(0, 1), FleetConfig(0, 5, 3), FleetConfig(1, 3), FleetConfig(2, 8, 2, max_batch=3)]


@pytest.mark.parametrize("config", WIDTHS, ids=lambda c: f"{c.processes}x{c.slots}")
def test_outcomes_do_not_depend_on_how_wide_the_fleet_is(config: FleetConfig) -> None:
    seeds = range(100, 113)
    expected = one_by_one(seeds, PointBatchDriver())
    assert sum(r.success for r in expected) > 2 and len({r.steps for r in expected}) > 3
    driver = PointBatchDriver()
    with Fleet(config) as fleet:
        outcomes = by_index(fleet.run(jobs(seeds, recorder=make_trace), driver))
    assert list(outcomes) == list(range(13))
    assert [o.result for o in outcomes.values()] == expected
    with Fleet(FleetConfig(0, 2)) as fleet:
        again = by_index(fleet.run(jobs(seeds, recorder=make_trace), PointBatchDriver()))
    assert [o.recording for o in outcomes.values()] == [o.recording for o in again.values()]
    assert max(driver.batches) <= config.max_batch
    if config.slots > 1:
        assert max(driver.batches) > 1, "nothing was batched"


class Diary(PointBatchDriver):
    """Notes whose decisions share a batch, by the seeds; draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: dict[int, int] = {}
        self.diary: list[list[int]] = []

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        super().reset(slot, instruction, seed)
        self.seeds[slot] = seed

    def act(self, slots, histories):
        self.diary.append([self.seeds[slot] for slot in slots])
        return super().act(slots, histories)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_very_batches_are_equal_for_any_number_of_processes(groups: int) -> None:
    diaries = []
    for processes in (0, 1, 2, 2):
        with Fleet(FleetConfig(processes, 6, groups)) as fleet:
            driver = Diary()
            list(fleet.run(jobs(range(20)), driver))
            diaries.append(driver.diary)
    assert diaries[0] == diaries[1] == diaries[2] == diaries[3]
    sizes = [len(batch) for batch in diaries[0]]
    assert max(sizes) == 6 // groups and np.mean(sizes) > 0.7 * 6 / groups
    assert all(batch == sorted(batch) for batch in diaries[0])


def test_a_driver_beside_the_world_needs_no_batch_driver() -> None:
    world = WORLD()
    expected = [run_episode(world.robot, PointExpert(0.2), world.task, seed=s) for s in range(6)]
    maker = partial(make_point_expert, noise=0.2)
    for config in (FleetConfig(0, 2), FleetConfig(2, 2), FleetConfig(1, 4, 2)):
        with Fleet(config) as fleet:
            outcomes = by_index(fleet.run(jobs(range(6), driver=maker)))
        assert [o.result for o in outcomes.values()] == expected
        assert all(len(o.latencies_s) == o.result.steps for o in outcomes.values() if o.result)
        assert all(o.context and o.context.instruction == "push the point to the goal" for o in outcomes.values())


def test_a_fleet_stays_warm_and_mixes_worlds_and_drivers() -> None:
    other = PointConfig(horizon=7, near=1e-9)
    mixed = [
        EpisodeJob(0, EpisodeSpec(1), WORLD),
        EpisodeJob(1, EpisodeSpec(1), partial(make_point_world, other)),
        EpisodeJob(2, EpisodeSpec(2), WORLD, driver=make_point_expert),
        EpisodeJob(3, EpisodeSpec(3, horizon=3), WORLD),
    ]
    with Fleet(FleetConfig(1, 2)) as fleet:
        first = results(fleet.run(mixed, PointBatchDriver()))
        second = results(fleet.run(mixed, PointBatchDriver()))
    assert first == second
    assert [r.steps for r in first if r][1::2] == [7, 3]


def test_worlds_are_reused_from_episode_to_episode() -> None:
    made = []

    def counted() -> World:
        made.append(make_point_world())
        return made[-1]

    with Fleet(FleetConfig(0, 2)) as fleet:
        list(fleet.run([EpisodeJob(i, EpisodeSpec(i), counted) for i in range(10)], PointBatchDriver()))
        assert len(made) == 2 and sum(w.robot.resets for w in made) == 10
    assert all(w.robot.closed for w in made)


class CountWorlds(Trace):
    """Takes how many worlds its process has made, counted by the maker below."""

    def take(self) -> int:
        return len(MADE)


MADE: list[World] = []


def make_counted_world(config: PointConfig) -> World:
    MADE.append(make_point_world(config))
    return MADE[-1]


def make_count(world: World, job: EpisodeJob) -> CountWorlds:
    return CountWorlds()


def test_a_prepared_world_is_the_one_that_is_used() -> None:
    world = partial(make_counted_world, PLAIN)
    with Fleet(FleetConfig(1, 1)) as fleet:
        fleet.prepare(partial(make_counted_world, PLAIN))
        (outcome,) = fleet.run([EpisodeJob(0, EpisodeSpec(0), world, recorder=make_count)], PointBatchDriver())
    assert outcome.recording == 1 and outcome.result == one_by_one([0], PointBatchDriver())[0]


@pytest.mark.parametrize("processes", [0, 1])
def test_an_error_stays_with_its_episode(processes: int) -> None:
    good = results(Fleet(FleetConfig(0, 1)).run(jobs(range(8)), PointBatchDriver()))
    with Fleet(FleetConfig(processes, 3)) as fleet:
        outcomes = by_index(fleet.run(jobs(range(8), PointConfig(bad_seeds=(2, 5))), PointBatchDriver()))
    for index, outcome in outcomes.items():
        if index in (2, 5):
            assert outcome.result is None and outcome.failure is not None
            assert "ValueError: the point fell off the table" in outcome.failure.message
            assert "worlds.py" in outcome.failure.traceback and "in command" in outcome.failure.traceback
        else:
            assert outcome.result == good[index]


def test_a_broken_decision_fails_only_the_episode_that_spoiled_the_batch() -> None:
    picky = partial(PointBatchDriver, fail_state_above=0.8, noise=0.0)
    alone = {s: next(Fleet(FleetConfig(0, 1)).run(jobs([s]), picky())) for s in range(12)}
    broken = {s for s, o in alone.items() if o.failure}
    assert 1 <= len(broken) <= 6
    for config in (FleetConfig(0, 6), FleetConfig(1, 6)):
        with Fleet(config) as fleet:
            outcomes = by_index(fleet.run(jobs(range(12)), picky()))
        assert {i for i, o in outcomes.items() if o.failure} == broken
        assert all(o.result == alone[i].result for i, o in outcomes.items())
        assert all("x is too large for me" in o.failure.message for o in outcomes.values() if o.failure)


def test_an_episode_that_kills_its_process_is_reported_and_the_others_finish() -> None:
    good = results(Fleet(FleetConfig(0, 1)).run(jobs(range(7)), PointBatchDriver()))
    with Fleet(FleetConfig(1, 3)) as fleet:
        outcomes = by_index(fleet.run(jobs(range(7), PointConfig(deadly_seeds=(1,))), PointBatchDriver()))
    failure = outcomes[1].failure
    assert failure is not None and "SIGKILL" in failure.message and "seed 1" in failure.message
    assert [o.result for i, o in outcomes.items() if i != 1] == [r for i, r in enumerate(good) if i != 1]


def test_a_process_killed_from_outside_costs_no_episode() -> None:
    good = results(Fleet(FleetConfig(0, 1)).run(jobs(range(10)), PointBatchDriver()))
    with Fleet(FleetConfig(2, 4)) as fleet:
        run = fleet.run(jobs(range(10)), PointBatchDriver())
        outcomes = [next(run)]
        victim = next(c for c in multiprocessing.active_children() if c.name == "robot-stack-fleet-0")
        victim.kill()
        outcomes += run
        assert victim.name in {c.name for c in multiprocessing.active_children()}, "it was replaced"
    assert results(outcomes) == good
    assert not [c for c in multiprocessing.active_children() if c.name.startswith("robot-stack-fleet")]


def test_many_failures_in_a_row_end_the_run() -> None:
    with Fleet(FleetConfig(0, 2, max_consecutive_failures=3)) as fleet:
        with pytest.raises(FleetError, match="3 episodes failed in a row") as caught:
            list(fleet.run(jobs(range(50), PointConfig(bad_seeds=tuple(range(50)))), PointBatchDriver()))
        assert "the point fell off the table" in str(caught.value)
        assert len(list(fleet.run(jobs(range(3)), PointBatchDriver()))) == 3


def test_leaving_early_breaks_off_and_the_fleet_goes_on() -> None:
    endless = (EpisodeJob(i, EpisodeSpec(i), WORLD) for i in itertools.count())
    with Fleet(FleetConfig(1, 4)) as fleet:
        run = fleet.run(endless, PointBatchDriver())
        first = [next(run) for _ in range(3)]
        run.close()
        again = by_index(fleet.run(jobs(range(5)), PointBatchDriver()))
    assert len(first) == 3
    expected = one_by_one(range(5), PointBatchDriver())
    assert [o.result for o in again.values()] == expected


def test_children_import_no_torch() -> None:
    with Fleet(FleetConfig(1, 1)) as fleet:
        (outcome,) = fleet.run(jobs([0], recorder=make_spy), PointBatchDriver())
    assert outcome.recording is False


def test_what_cannot_travel_is_an_error_that_says_so() -> None:
    with Fleet(FleetConfig(1, 1)) as fleet:
        with pytest.raises(ConfigError, match="cannot be sent to another process"):
            list(fleet.run([EpisodeJob(0, EpisodeSpec(0), lambda: make_point_world())], PointBatchDriver()))
        (outcome,) = fleet.run(jobs([0], recorder=make_unsendable), PointBatchDriver())
        assert outcome.failure is not None and "cannot be sent" in outcome.failure.message
        with pytest.raises(ConfigError, match="nobody decides"):
            list(fleet.run(jobs([0])))


def test_a_driver_that_answers_too_little_is_refused() -> None:
    class Lazy(PointBatchDriver):
        def act(self, slots, histories):
            return super().act(slots, histories)[:-1]

    with pytest.raises(ShapeError, match="wrong number of episodes"), Fleet(FleetConfig(0, 2)) as fleet:
        list(fleet.run(jobs(range(2)), Lazy()))


@pytest.mark.parametrize(
    "bad", [{"processes": -1}, {"slots": 0}, {"groups": 0}, {"slots": 2, "groups": 3}, {"max_batch": 0}]
)
def test_impossible_widths_are_refused(bad: dict) -> None:
    with pytest.raises(ConfigError):
        FleetConfig(**bad)


def test_the_point_driver_is_a_batch_driver() -> None:
    assert isinstance(PointBatchDriver(), BatchDriver)
