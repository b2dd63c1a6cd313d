"""Stale, repeated, frozen and overtaken commands and observations, and the way out of a latched stop."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from robot_stack.core.safety import Command, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits

PERIOD_S = 0.01
TTL_S = 0.1
LIMITS = SafetyLimits(
    low=(-1.0,),
    high=(1.0,),
    max_rate=(1.0,),
    max_acceleration=(50.0,),
    max_tilt_rad=0.5,
    command_timeout_s=TTL_S,
    observation_timeout_s=TTL_S,
    needs_deadman=True,
)


def upright(time_s: float, sequence: int | None = None, position: float = 0.0) -> Measured:
    return Measured(time_s, np.array([position]), np.zeros(1), tilt_rad=0.0, sequence=sequence)


def fresh_filter() -> SafetyFilter:
    return SafetyFilter(LIMITS, PERIOD_S, np.zeros(1))


def reasons(guard: SafetyFilter, command: Command | None, now_s: float, measured: Measured | None = None) -> list[str]:
    out = guard.tick(command, now_s=now_s, measured=measured or upright(now_s))
    return [i.reason for i in out.interventions if i.reason not in ("rate", "acceleration")]


def test_a_command_that_comes_again_and_again_grows_stale() -> None:
    """A frozen sequence under fresh receive times, as a stuck bridge sends it."""
    guard = fresh_filter()
    for tick in range(30):
        now_s = tick * PERIOD_S
        found = reasons(guard, Command(np.array([0.5]), now_s, sequence=7), now_s)
        assert found == (["stale_command"] if now_s > TTL_S + 1e-9 else [])
    assert reasons(guard, Command(np.array([0.5]), 0.3, sequence=8), 0.3) == []
    assert guard.latched is None


def test_a_command_is_held_until_it_is_stale_to_the_tick() -> None:
    guard = fresh_filter()
    held = Command(np.array([0.5]), 0.0, sequence=1)
    assert [bool(reasons(guard, held, tick * PERIOD_S)) for tick in range(13)] == [False] * 11 + [True] * 2


def test_commands_out_of_order_are_refused() -> None:
    guard = fresh_filter()
    assert reasons(guard, Command(np.zeros(1), 0.0, 5), 0.0) == []
    assert reasons(guard, Command(np.zeros(1), 0.01, 4), 0.01) == ["old_sequence"]
    assert reasons(guard, Command(np.zeros(1), 0.02, 6), 0.02) == []
    unnumbered = fresh_filter()
    assert reasons(unnumbered, Command(np.zeros(1), 0.02), 0.02) == []
    assert reasons(unnumbered, Command(np.zeros(1), 0.01), 0.03) == ["old_sequence"]


def test_refused_commands_do_not_count_as_the_newest() -> None:
    guard = fresh_filter()
    assert reasons(guard, Command(np.array([np.nan]), 0.0, 100), 0.0) == ["non_finite"]
    assert reasons(guard, Command(np.zeros(2), 0.0, 100), 0.0) == ["wrong_size"]
    assert reasons(guard, Command(np.zeros(1), -5.0, 100), 0.0) == ["stale_command"]
    assert reasons(guard, Command(np.zeros(1), 5.0, 100), 0.0) == ["stale_command"]
    assert reasons(guard, Command(np.zeros(1), 0.0, 1), 0.0) == []


def test_a_message_may_come_in_during_the_tick_but_not_from_the_future() -> None:
    guard = fresh_filter()
    assert reasons(guard, Command(np.zeros(1), PERIOD_S / 2, 1), 0.0, upright(PERIOD_S / 2)) == []
    assert reasons(guard, Command(np.zeros(1), 2 * PERIOD_S, 2), 0.0) == ["old_observation", "stale_command"]


def test_a_frozen_observation_latches() -> None:
    guard = fresh_filter()
    for tick in range(13):
        now_s = tick * PERIOD_S
        found = reasons(guard, Command(np.zeros(1), now_s, tick), now_s, upright(now_s, sequence=3))
        assert found == (["stale_observation", "latched_stop"] if now_s > TTL_S + 1e-9 else [])
    assert guard.rearm(upright(0.2, sequence=3), 0.2)[0].detail.startswith("sequence 3 has not changed")
    assert guard.rearm(upright(0.2, sequence=4), 0.2) == ()


def test_overtaken_observations_are_ignored_and_latch_once_the_newest_is_stale() -> None:
    guard = fresh_filter()
    tilted = Measured(0.01, np.array([0.0]), tilt_rad=3.0, sequence=4)
    assert reasons(guard, Command(np.zeros(1), 0.0, 0), 0.0, upright(0.0, 5)) == []
    assert reasons(guard, Command(np.zeros(1), 0.01, 1), 0.01, tilted) == ["old_observation"]
    assert reasons(guard, Command(np.zeros(1), 0.02, 2), 0.02, upright(0.02, 6)) == []
    found = reasons(guard, Command(np.zeros(1), 0.2, 3), 0.2, upright(0.2, 5))
    assert found == ["old_observation", "stale_observation", "latched_stop"]


def test_rearming_is_refused_while_the_fault_lasts_and_begins_at_the_measured_posture() -> None:
    guard = fresh_filter()
    guard.stop("emergency stop button")
    fallen = Measured(0.0, np.zeros(1), tilt_rad=1.0)
    assert [i.reason for i in guard.rearm(fallen, 0.0)] == ["tilt"]
    assert guard.latched == "emergency stop button"
    assert guard.rearm(upright(0.0, position=0.3), 0.0) == ()
    assert guard.latched is None
    assert guard.action[0] == 0.3


def test_a_robot_that_counts_from_the_start_again_can_be_rearmed() -> None:
    guard = fresh_filter()
    reasons(guard, None, 0.0, upright(0.0, 1000))
    guard.stop("robot restarted")
    assert guard.rearm(upright(0.05, 0), 0.05) == ()
    assert reasons(guard, Command(np.zeros(1), 0.06, 0), 0.06, upright(0.06, 1)) == []


def test_commands_from_before_the_stop_was_cleared_are_not_obeyed() -> None:
    """A policy that was halted and wakes up must not finish its old plan."""
    guard = fresh_filter()
    old = Command(np.array([0.5]), 0.0, 50)
    assert reasons(guard, old, 0.0) == []
    guard.stop("operator")
    assert guard.rearm(upright(0.02), 0.02) == ()
    assert reasons(guard, old, 0.02) == ["stale_command"]
    assert reasons(guard, Command(np.zeros(1), 0.03, 0), 0.03) == [], "a restarted policy may count from 0"


class FilterMachine(RuleBasedStateMachine):
    """Any order of ticks, stops, rearming and resets against a plain model of what must be obeyed."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = fresh_filter()
        self.now_s = 50.0
        self.latched: str | None = None
        self.restart()

    def restart(self) -> None:
        self.newest: dict[str, tuple[int, float] | None] = {"command": None, "observation": None}
        self.not_before_s = -np.inf

    def age_s(self, kind: str, time_s: float, sequence: int) -> float:
        newest = self.newest[kind]
        if newest is not None and newest[0] == sequence:
            time_s = min(time_s, newest[1])
        return self.now_s - time_s

    def fresh(self, kind: str, time_s: float, sequence: int) -> bool:
        return -PERIOD_S <= self.age_s(kind, time_s, sequence) <= TTL_S

    def overtaken(self, kind: str, sequence: int) -> bool:
        newest = self.newest[kind]
        return newest is not None and sequence < newest[0]

    def note(self, kind: str, time_s: float, sequence: int) -> None:
        newest = self.newest[kind]
        if newest is None or newest[0] != sequence:
            self.newest[kind] = (sequence, time_s)

    def see(self, time_s: float, sequence: int, tilt: float) -> bool:
        """Whether an observation is a reason to stop."""
        if self.overtaken("observation", sequence):
            newest = self.newest["observation"]
            return newest is not None and not -PERIOD_S <= self.now_s - newest[1] <= TTL_S
        fresh = self.fresh("observation", time_s, sequence)
        if fresh:
            self.note("observation", time_s, sequence)
        return not fresh or tilt > 0.5

    ages = st.sampled_from([0.0, 0.0, 0.0, 0.005, 0.05, 0.25, -0.005, -0.5])
    numbers = st.integers(0, 12)
    tilts = st.sampled_from([0.0, 0.0, 0.0, 0.0, 1.0])

    @rule(age_s=ages, number=numbers, seen_age_s=ages, seen=numbers, tilt=tilts, deadman=st.booleans())
    def tick(self, age_s: float, number: int, seen_age_s: float, seen: int, tilt: float, deadman: bool) -> None:
        self.now_s += PERIOD_S
        if self.see(self.now_s - seen_age_s, seen, tilt) and self.latched is None:
            self.latched = "fault"
        time_s = self.now_s - age_s
        obeyed = (
            self.latched is None
            and deadman
            and not self.overtaken("command", number)
            and self.fresh("command", time_s, number)
            and self.now_s - self.age_s("command", time_s, number) >= self.not_before_s
        )
        if obeyed:
            self.note("command", time_s, number)
        before = self.guard.action
        target = np.array([1.0]) if before[0] < 0.9 else np.array([-1.0])
        out = self.guard.tick(
            Command(target, time_s, number),
            now_s=self.now_s,
            measured=Measured(self.now_s - seen_age_s, before, np.zeros(1), tilt_rad=tilt, sequence=seen),
            deadman=deadman,
        )
        refusals = {"latched_stop", "deadman", "stale_command", "old_sequence"}
        assert obeyed == (not refusals & {i.reason for i in out.interventions})
        assert abs(out.action[0] - before[0]) <= LIMITS.max_rate[0] * PERIOD_S * (1 + 1e-9)

    @rule()
    def pause(self) -> None:
        self.now_s += 0.2

    @rule()
    def stop(self) -> None:
        self.guard.stop("operator")
        self.latched = self.latched or "operator"

    @rule(age_s=ages, number=numbers, tilt=tilts)
    def rearm(self, age_s: float, number: int, tilt: float) -> None:
        if self.overtaken("observation", number):
            self.newest["observation"] = None
        wrong = self.see(self.now_s - age_s, number, tilt)
        measured = Measured(self.now_s - age_s, np.array([0.1]), tilt_rad=tilt, sequence=number)
        assert bool(self.guard.rearm(measured, self.now_s)) == wrong
        if not wrong:
            self.latched = None
            self.newest["command"], self.not_before_s = None, self.now_s
            assert self.guard.action[0] == 0.1

    @rule()
    def reset(self) -> None:
        self.guard.reset(np.zeros(1))
        self.latched = None
        self.restart()

    @invariant()
    def latch_agrees(self) -> None:
        assert (self.guard.latched is None) == (self.latched is None)
        assert -1.0 <= self.guard.action[0] <= 1.0


TestFilterMachine = FilterMachine.TestCase
TestFilterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
