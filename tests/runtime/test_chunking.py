"""Ways of letting one chunk follow another, on paper and in simulated time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.hardware.chunk_buffer import ChunkBuffer, StampedChunk, to_ns
from robot_stack.runtime.async_driver import AsyncDriver, DelayEstimate
from robot_stack.runtime.chunking import (
    Chunking,
    LatencyTrimmed,
    Moment,
    RealTimeChunking,
    Synchronous,
    blended,
    exponential_fade,
    linear_fade,
    prefix_weights,
    steps_until,
)
from robot_stack.runtime.observation_history import ObservationHistory
from robot_stack.runtime.timed_plan import TimedPlan, spliced

PERIOD = 0.02


def seen(tick: int, time_s: float | None = None) -> Observation:
    return Observation(np.array([float(tick)]), {}, tick * PERIOD if time_s is None else time_s, tick)


def chunk_of(observation: Observation, steps: int = 16) -> ActionChunk:
    """Actions that tell the control step they are for."""
    first = round(observation.time_s / PERIOD)
    return ActionChunk(np.arange(first, first + steps, dtype=float)[:, None], observation.time_s, PERIOD)


def driver_of(chunking: Chunking, history: int = 1) -> AsyncDriver:
    return AsyncDriver(chunking, action_size=1, history=history, period_s=PERIOD)


# --- weights


def test_weights_are_the_papers() -> None:
    """Equation 5 of arXiv 2506.07339 with H = 8, d = 2, s = 3, number by number."""
    horizon, delay, executed = 8, 2, 3
    wanted = []
    for i in range(horizon):
        c = (horizon - executed - i) / (horizon - executed - delay + 1)
        if i < delay:
            wanted.append(1.0)
        elif i < horizon - executed:
            wanted.append(c * (math.exp(c) - 1) / (math.e - 1))
        else:
            wanted.append(0.0)
    got = prefix_weights(horizon - executed, delay)
    np.testing.assert_allclose(got, wanted[: horizon - executed], rtol=1e-12)
    np.testing.assert_allclose(prefix_weights(5, 2, linear_fade)[2:], [3 / 4, 2 / 4, 1 / 4])


@given(st.integers(0, 40), st.integers(0, 60), st.sampled_from([linear_fade, exponential_fade]))
def test_weights_only_fall(steps: int, frozen: int, fade) -> None:
    weights = prefix_weights(steps, frozen, fade)
    assert weights.shape == (steps,)
    assert (weights[:frozen] == 1.0).all()
    assert (np.diff(weights) <= 1e-12).all()
    assert ((weights >= 0.0) & (weights <= 1.0)).all()


def test_blending_begins_near_the_old_and_ends_with_the_new() -> None:
    old, new = np.zeros((10, 1)), np.ones((10, 1))
    out = blended(new, old, first=3, steps=4)[:, 0]
    np.testing.assert_allclose(out, [1, 1, 1, 0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    np.testing.assert_allclose(blended(new, old[:2], 3, 4)[:, 0], [1, 1, 1, 0.2, 0.4, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(blended(new, old, 9, 4)[9], 0.2)
    np.testing.assert_array_equal(blended(new, old, 12, 4), new)
    np.testing.assert_array_equal(new, np.ones((10, 1)))


# --- plans


def test_plans_tell_the_action_nearest_to_a_time() -> None:
    plan = TimedPlan(0.0, 1.0, PERIOD, np.arange(4.0)[:, None])
    assert plan.action(0.989) is None
    at = [plan.action(t) for t in (0.991, 1.0, 1.009, 1.011, 1.069)]
    assert [a[0] for a in at if a is not None] == [0, 0, 0, 1, 3]
    assert plan.action(1.071) is None
    assert plan.end_s == pytest.approx(1.08)
    np.testing.assert_array_equal(plan.rest(1.04)[:, 0], [2, 3])
    assert len(plan.rest(2.0)) == 0


def test_a_later_plan_lets_the_earlier_go_on_until_its_first_action() -> None:
    early, late = (
        TimedPlan(0.0, 0.0, PERIOD, np.arange(10.0)[:, None]),
        TimedPlan(0.04, 0.08, PERIOD, 100 + np.arange(4.0)[:, None]),
    )
    both = spliced(early, late, 0.04)
    assert both.start_s == pytest.approx(0.04)
    np.testing.assert_array_equal(both.actions[:, 0], [2, 3, 100, 101, 102, 103])
    assert spliced(None, late, 0.04) is late
    assert spliced(early, late, 0.1) is late
    assert spliced(TimedPlan(0, 0, PERIOD, np.zeros((3, 1))), late, 0.04) is late  # a hole between: it stands still


# --- history


def test_history_repeats_the_first_and_is_one_period_apart() -> None:
    history = ObservationHistory(3, PERIOD)
    with pytest.raises(ConfigError):
        history.read()
    history.add(seen(0))
    assert [o.sequence for o in history.read()] == [0, 0, 0]
    for tick in range(1, 5):
        history.add(seen(tick))
    assert [o.sequence for o in history.read()] == [2, 3, 4]


def test_history_knows_gaps() -> None:
    history = ObservationHistory(2, PERIOD)
    for tick in (0, 1, 2, 5):
        history.add(seen(tick))
    assert [o.sequence for o in history.read()] == [5, 5]  # nothing near 4: not 2, which would look like speed
    assert history.missing == 2
    history.add(seen(6))
    assert [o.sequence for o in history.read()] == [5, 6]
    history.add(seen(7, 6 * PERIOD + 1.3 * PERIOD))
    assert [o.sequence for o in history.read()] == [6, 7]


def test_history_leaves_out_what_comes_late_and_begins_anew_after_a_silence() -> None:
    history = ObservationHistory(2, PERIOD, longest_gap_s=0.5)
    history.add(seen(10))
    assert not history.add(seen(10))
    assert not history.add(seen(9))
    assert history.out_of_order == 2
    history.add(seen(11))
    assert history.add(seen(100))
    assert [o.sequence for o in history.read()] == [100, 100]
    assert history.add(seen(0)), "a robot that was started again has another clock"
    assert history.restarts == 2
    assert [o.sequence for o in history.read()] == [0, 0]


# --- the asynchronous driver, in simulated time against the robot's own chunk buffer


class Robot:
    """Carries out plans as the robot node does, and remembers what it did."""

    def __init__(self) -> None:
        self.buffer = ChunkBuffer(("a",), "", PERIOD)
        self.did: list[float] = []
        """The action of each tick; NaN when there was none."""

    def offer(self, plan: TimedPlan, now_s: float) -> None:
        offsets = plan.start_s - plan.observation_s + PERIOD * np.arange(len(plan))
        chunk = StampedChunk(to_ns(plan.observation_s), ("a",), plan.actions, offsets)
        why = self.buffer.offer(chunk, now_s)
        assert why is None, why

    def tick(self, tick: int) -> Observation:
        due = self.buffer.due(tick * PERIOD)
        held = due is None or tick * PERIOD - due.due_s > 0.75 * PERIOD  # the last action of a plan that is over
        self.did.append(math.nan if due is None or held else float(due.action[0]))
        observation = seen(tick)
        self.buffer.note_observation(to_ns(observation.time_s))
        return observation


def run(driver: AsyncDriver, delays_s: Sequence[float], ticks: int, steps: int = 16) -> Robot:
    """A policy whose decisions take the given times, in turn; the local clock is an hour ahead of the robot's."""
    robot, hour = Robot(), 3600.0
    arriving: tuple[float, object] | None = None
    asked = 0
    for tick in range(ticks):
        # what arrives between ticks comes first
        now_s = tick * PERIOD
        if arriving is not None and arriving[0] <= now_s + 1e-9:
            arrived_s, ask = arriving
            arriving = None
            plan = driver.answer(ask, chunk_of(ask.history[-1], steps), arrived_s + hour)
            if plan is not None:
                robot.offer(plan, arrived_s)
        driver.observe(robot.tick(tick), now_s + hour)
        ask = driver.ask(now_s + hour)
        if ask is not None:
            assert arriving is None, "one question at a time"
            arriving = (now_s + delays_s[asked % len(delays_s)], ask)
            asked += 1
    return robot


def assert_in_time(robot: Robot) -> None:
    did = np.array(robot.did)
    acted = ~np.isnan(did)
    np.testing.assert_allclose(did[acted], np.flatnonzero(acted))


@pytest.mark.parametrize("chunking", [LatencyTrimmed(5), LatencyTrimmed(1, 0), RealTimeChunking(8)])
@pytest.mark.parametrize("delay_s", [0.001, 0.02, 0.1, 0.15])
def test_a_slow_policy_never_stalls_the_robot_and_nothing_is_done_at_another_time(chunking, delay_s) -> None:
    driver = driver_of(chunking)
    robot = run(driver, [delay_s], 300)
    first = math.ceil(delay_s / PERIOD)
    np.testing.assert_allclose(
        robot.did[first + 1 :], np.arange(first + 1, 300), err_msg="each tick has its own action"
    )
    assert driver.counts.late == driver.counts.dry == driver.counts.failed == 0
    assert driver.delay.seconds == pytest.approx(delay_s, abs=1e-6)


def test_a_policy_of_300_ms_does_not_stall_with_a_plan_that_is_long_enough() -> None:
    driver = driver_of(RealTimeChunking(25))
    robot = run(driver, [0.3], 500, steps=50)
    np.testing.assert_allclose(robot.did[16:], np.arange(16, 500))


def test_a_policy_slower_than_its_plan_is_never_obeyed_late() -> None:
    driver = driver_of(LatencyTrimmed(8))
    robot = run(driver, [0.5], 300, steps=16)
    assert np.isnan(robot.did).all()
    assert driver.counts.late > 5
    assert driver.counts.planned == 0


def test_a_decision_that_hangs_leaves_a_pause_and_no_replay() -> None:
    driver = driver_of(LatencyTrimmed(8))
    robot = run(driver, [0.02] * 6 + [1.0] + [0.02] * 50, 300)
    assert_in_time(robot)
    assert 20 < np.isnan(robot.did[2:]).sum() < 60
    assert driver.counts.late == 1
    assert robot.did[-1] == pytest.approx(299.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.0, 0.6), min_size=1, max_size=12),
    st.sampled_from([LatencyTrimmed(4), LatencyTrimmed(9, 0), RealTimeChunking(3)]),
)
def test_whatever_the_delays_nothing_is_done_at_another_time(delays_s, chunking) -> None:
    assert_in_time(run(driver_of(chunking), delays_s, 150))


def test_synchronous_executes_every_step_and_waits_between() -> None:
    robot = run(driver_of(Synchronous(6)), [0.1], 120)
    acted = np.array([action for action in robot.did if not math.isnan(action)])
    whole = acted[: len(acted) // 6 * 6].reshape(-1, 6)
    assert len(whole) > 8
    assert (np.diff(whole, axis=1) == 1.0).all(), "the whole part, from its first action on"
    pauses = [len(p) for p in "".join("x" if math.isnan(a) else "." for a in robot.did).split(".") if p]
    assert all(4 <= pause <= 6 for pause in pauses[1:]), pauses


def test_real_time_chunking_tells_what_is_carried_out_and_what_is_fixed() -> None:
    driver = driver_of(RealTimeChunking(5, max_weight=3.0))
    driver.delay.add(0.05)
    driver.observe(seen(0), 0.0)
    first = driver.ask(0.0)
    assert first is not None
    assert len(first.running) == 0
    driver.answer(first, chunk_of(seen(0)), 0.05)
    for tick in range(1, 5):
        driver.observe(seen(tick), tick * PERIOD)
        assert driver.ask(tick * PERIOD) is None
    driver.observe(seen(5), 5 * PERIOD)
    ask = driver.ask(5 * PERIOD)
    assert ask is not None
    assert isinstance(ask.running, RunningPlan)
    np.testing.assert_array_equal(ask.running.actions[:, 0], np.arange(5, 16))
    np.testing.assert_allclose(ask.running.weights, prefix_weights(11, 3))
    assert ask.running.max_weight == 3.0
    other = chunk_of(seen(5)).actions + 100
    plan = driver.answer(ask, ActionChunk(other, 0.1, PERIOD), 0.15, continued=True)
    assert plan is not None
    np.testing.assert_array_equal(plan.actions, other)  # the policy itself continued: nothing is blended


def test_it_asks_earlier_when_the_plan_would_run_dry() -> None:
    driver = driver_of(LatencyTrimmed(execute_steps=16))
    robot = run(driver, [0.1], 200)
    assert_in_time(robot)
    assert np.isnan(robot.did[7:]).sum() <= 6, "only the first plan, of a policy of unknown speed, runs dry"
    assert driver.counts.dry <= 1


def test_answers_from_before_a_reset_or_a_restart_of_the_robot_are_dropped() -> None:
    driver = driver_of(LatencyTrimmed(4))
    driver.observe(seen(0), 0.0)
    ask = driver.ask(0.0)
    assert ask is not None
    driver.reset()
    driver.observe(seen(1), 0.02)
    assert driver.answer(ask, chunk_of(seen(0)), 0.03) is None
    assert driver.counts.dropped == 1
    again = driver.ask(0.03)
    assert again is not None
    driver.observe(seen(0, -100.0), 0.04)  # another clock: the robot node was started again
    assert driver.answer(again, chunk_of(seen(1)), 0.05) is None
    assert driver.ask(0.05) is not None


def test_failures_are_counted_and_asked_again() -> None:
    driver = driver_of(LatencyTrimmed(4))
    driver.observe(seen(0), 0.0)
    ask = driver.ask(0.0)
    assert ask is not None
    driver.fail(ask)
    driver.fail(ask)
    assert driver.counts.failed == 1
    assert driver.ask(0.01) is not None


def test_delays_are_the_longest_of_the_last() -> None:
    delay = DelayEstimate(remembered=3, initial_s=0.2)
    assert delay.steps(PERIOD) == 10
    for seconds in (0.05, 0.01, 0.01):
        delay.add(seconds)
    assert delay.seconds == 0.05
    delay.add(0.01)
    assert delay.seconds == 0.01
    delay.add(-1.0)
    assert delay.seconds == 0.01


@given(st.floats(0, 1), st.floats(0, 1))
def test_steps_until_is_what_the_robot_still_applies(start_s: float, later_s: float) -> None:
    first = steps_until(start_s, start_s + later_s, PERIOD)
    off = later_s / PERIOD
    assert first >= off - 0.5 - 1e-3
    assert first == 0 or first - 1 < off - 0.5 + 1e-3


def test_ways_that_make_no_sense_are_refused() -> None:
    for make in (
        lambda: Synchronous(0),
        lambda: LatencyTrimmed(3, -1),
        lambda: RealTimeChunking(3, max_weight=0.0),
        lambda: LatencyTrimmed(3, lead_s=-0.1),
    ):
        with pytest.raises(ConfigError):
            make()
    assert Moment(0.0, 0.0, PERIOD, 0, 1).plan is None
