"""A simulated body keeps time, waits at its start, and tells what can be seen of it."""

from __future__ import annotations

import numpy as np

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.deploy.emulated_body import EmulatedBody, Seen
from robot_stack.deploy.emulator_process import Slowness
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task


class Electronics:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.resets: list[BusState] = []
        self.states: list[BusState] = []

    def reset(self, state: BusState) -> None:
        self.resets.append(state)

    def command(self, state: BusState) -> JointCommand | None:
        return None

    def publish(self, state: BusState) -> None:
        self.states.append(state)

    def close(self) -> None:
        pass


def body_of(clock: SimulatedClock, seen: list[Seen]) -> tuple[EmulatedBody, Electronics]:
    electronics = Electronics()
    plant = MujocoPlant(robot_spec("panda"), robot_task("panda/drawer"), 500.0)
    return EmulatedBody(plant, electronics, clock, 0.02, seen.append), electronics


def steps(body: EmulatedBody, clock: SimulatedClock, count: int) -> None:
    for _ in range(count):
        clock.sleep_until(body.due_s)
        body.step()


def test_it_stands_still_at_its_start_until_it_is_let_go_while_its_states_go_on() -> None:
    clock, seen = SimulatedClock(100.0), []
    body, electronics = body_of(clock, seen)
    body.reset(3)
    start = electronics.resets[0].joint_position.copy()
    steps(body, clock, 50)
    assert all(np.array_equal(state.joint_position, start) for state in electronics.states)
    assert [state.sequence for state in electronics.states] == list(range(1, 51))
    times = np.array([state.time_s for state in electronics.states])
    assert np.allclose(np.diff(times), 0.002)
    body.let_go()
    steps(body, clock, 50)
    assert not np.array_equal(electronics.states[-1].joint_position, start), "it falls under its own weight"
    body.reset(3)
    assert np.array_equal(electronics.resets[-1].joint_position, start)
    steps(body, clock, 5)
    assert np.array_equal(electronics.states[-1].joint_position, start), "it waits again"


def test_what_is_seen_comes_once_a_control_period() -> None:
    clock, seen = SimulatedClock(), []
    body, _ = body_of(clock, seen)
    body.reset(0)
    steps(body, clock, 30)
    assert [round(each.stamp_s, 3) for each in seen] == [0.0, 0.02, 0.04, 0.06]
    assert set(seen[0].tracked) >= {"drawer_opening", "handle_position"}
    reward, success, failed = seen[-1].score
    assert 0.0 <= reward < 1.0 and not success and not failed


def test_other_seeds_are_other_starts() -> None:
    clock, seen = SimulatedClock(), []
    body, _ = body_of(clock, seen)
    body.reset(0)
    body.reset(1)
    first, second = seen
    assert not np.array_equal(first.tracked["handle_position"], second.tracked["handle_position"])


def test_time_that_the_machine_lost_is_lost_to_the_body_and_counted() -> None:
    clock, seen = SimulatedClock(), []
    body, electronics = body_of(clock, seen)
    body.reset(0)
    steps(body, clock, 10)
    clock.sleep_until(clock.now() + 1.0)
    body.step()
    assert 0.9 < body.lost_s <= 1.0
    assert electronics.states[-1].time_s - electronics.states[-2].time_s > 0.9
    clock.sleep_until(body.due_s + 0.05)
    lost = body.lost_s
    body.step()
    assert body.lost_s == lost, "a little is made up for"


def test_a_machine_that_is_too_slow_is_told_so_and_a_reset_is_no_slowness() -> None:
    clock, seen = SimulatedClock(100.0), []
    body, _ = body_of(clock, seen)
    told = Slowness(0.5)
    clock.sleep_until(101.0)
    body.reset(3)
    steps(body, clock, 20)
    assert told.said(body.lost_s, 0.0) == ""
    clock.sleep_until(clock.now() + 0.75)
    steps(body, clock, 1)
    sentence = told.said(body.lost_s, 0.1)
    assert "clock_speed 0.5" in sentence
    assert "stood still for 0.75 s" in sentence
    clock.sleep_until(clock.now() + 0.75)
    steps(body, clock, 1)
    assert told.said(body.lost_s, 5.0) == "", "not again and again"
    assert "0.75 s" in told.said(body.lost_s, 11.0), "since the last time"
