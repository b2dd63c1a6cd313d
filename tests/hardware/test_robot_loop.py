"""The loop in simulated time: its states, its ways, what it sends. Every command is checked by the rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.hardware.chunk_buffer import ChunkConfig, to_ns
from robot_stack.hardware.loop_config import ButtonPress
from robot_stack.hardware.loop_reports import Observed
from robot_stack.hardware.state_machine import Event, State
from tests.hardware.toy_robot import PERIOD, TICK, Rig, ToyBus, ToyController


def test_idle_is_limp_where_gains_are_obeyed_and_holds_where_not() -> None:
    limp, stiff = Rig(), Rig(bus=ToyBus(obeys="position"))
    for rig in (limp, stiff):
        rig.run(0.1)
        assert rig.loop.state is State.IDLE
    assert not limp.bus.written[-1].stiffness.any() and limp.bus.written[-1].damping.all()
    assert stiff.bus.written[-1].stiffness.all()
    assert np.array_equal(stiff.bus.written[-1].position, [0.3, -0.2, 0.1])


def test_ready_leads_from_the_measured_pose_to_the_start_pose() -> None:
    rig = Rig(ready_speed=0.2)
    rig.run(0.1)
    rig.bus.position = np.array([1.0, -1.0, 0.0])  # somebody moves the limp robot, slowly enough
    rig.bus.spoil = None
    rig.loop.watch.forget()
    rig.run(0.1)
    rig.must(Event.READY)
    assert np.allclose(rig.bus.written[-1].position, [1.0, -1.0, 0.0], atol=1e-3)
    rig.run(10.0)
    assert rig.loop.state is State.HOLD
    assert np.allclose(rig.bus.written[-1].position, [0.0, 0.5, -0.5], atol=1e-9)
    speed = np.abs(np.diff([c.position for c in rig.bus.written[60:]], axis=0)).max() / TICK
    assert 0.3 < speed <= 0.41  # a fifth of the largest, and not much less


def test_a_new_request_for_ready_goes_on_from_where_the_robot_is_told_to_be() -> None:
    rig = Rig().hold()
    assert rig.changes()[-2:] == [(State.IDLE, State.READY), (State.READY, State.HOLD)]
    rig.must(Event.READY)
    rig.run(0.1)
    assert rig.loop.state is State.HOLD  # there already, and no step on the way


def test_actions_move_the_robot_in_armed_alone() -> None:
    rig = Rig().hold()
    rig.drive(0.2, [0.2, 0.5, -0.5])
    assert np.allclose(rig.bus.position, [0.0, 0.5, -0.5])
    assert rig.loop.chunks.refused == {"not_armed": 10}
    rig.deadman = True
    rig.tick()
    rig.must(Event.ARM)
    rig.drive(1.0, [0.2, 0.5, -0.5])
    assert np.allclose(rig.bus.position, [0.2, 0.5, -0.5], atol=1e-6)


def test_each_action_applies_at_its_own_control_tick() -> None:
    rig = Rig().armed()
    rows = np.array([[0.0, 0.5, -0.5]] + [[0.01 * k, 0.5, -0.5] for k in range(1, 8)])
    rig.loop.inputs.hear_chunk(rig.chunk(rows))
    begin_ns = rig.observed().stamp_ns
    rig.run(8 * PERIOD)
    told = {round((a.stamp_ns - begin_ns) * 1e-9 / PERIOD): a for a in rig.acted() if a.asked is not None}
    assert len(told) >= 6
    for step, acted in told.items():
        assert acted.asked is not None and acted.asked[0] == pytest.approx(rows[step][0])


def test_between_two_actions_positions_are_interpolated() -> None:
    rig = Rig().armed()
    rig.drive(0.2, [0.0, 0.5, -0.5])
    rig.loop.inputs.hear_chunk(rig.chunk([[0.0, 0.5, -0.5], [0.01, 0.5, -0.5], [0.02, 0.5, -0.5]]))
    count = len(rig.bus.written)
    rig.run(3 * PERIOD)
    steps = np.diff([c.position[0] for c in rig.bus.written[count:]])
    assert steps.max() < 0.01 / 10 * 2.0  # far from one step of 0.01 in one servo tick


def test_controllers_count_even_time_however_late_ticks_are() -> None:
    rig = Rig().armed()
    rig.begin_s += 0.0123  # the machine stood still for a while
    rig.drive(0.3, [0.1, 0.5, -0.5])
    times = np.diff(rig.controller.times)
    assert np.allclose(times, PERIOD, atol=1e-9)


def test_without_actions_the_robot_rests_within_their_time_to_live() -> None:
    rig = Rig(chunks=ChunkConfig(time_to_live_s=0.1)).armed()
    rig.drive(0.5, [1.0, 0.5, -0.5])
    rows = np.linspace([0.9, 0.5, -0.5], [1.5, 0.5, -0.5], 8)
    rig.loop.inputs.hear_chunk(rig.chunk(rows))
    last_due_s = rig.observed().stamp_ns * 1e-9 + 7 * PERIOD
    while rig.clock_s < last_due_s + 0.1 + 3 * PERIOD:
        rig.tick()
    rig.run(0.15)  # brakes within the acceleration limit
    still = [c.position for c in rig.bus.written[-20:]]
    assert np.ptp(still, axis=0).max() < 1e-9
    assert rig.loop.state is State.ARMED
    assert rig.acted()[-1].asked is None
    assert rig.acted()[-1].interventions[0].reason == "stale_command"


def test_after_a_longer_silence_it_is_disarmed() -> None:
    rig = Rig(disarm_after_s=0.5).armed()
    rig.drive(0.2, [0.1, 0.5, -0.5])
    rig.run(0.9)
    assert rig.loop.state is State.HOLD
    assert rig.changes()[-1] == (State.ARMED, State.HOLD)


def test_a_driver_that_comes_back_begins_from_rest_with_a_reset_controller() -> None:
    rig = Rig().armed()
    rig.drive(0.3, [0.4, 0.5, -0.5])
    rig.run(0.5)
    resets = rig.controller.calls.count("reset")
    rig.drive(0.5, [-0.4, 0.5, -0.5])  # steps are checked by the rig
    assert rig.controller.calls.count("reset") == resets + 1
    assert rig.bus.position[0] < 0.0


def test_chunks_from_before_arming_are_not_obeyed() -> None:
    rig = Rig().hold()
    old = rig.chunk([1.0, 1.0, 1.0], steps=50)
    rig.deadman = True
    rig.tick()
    rig.must(Event.ARM)
    rig.loop.inputs.hear_chunk(old)
    rig.run(0.1)
    assert rig.loop.chunks.refused == {"before_arming": 1}
    assert np.allclose(rig.bus.position, [0.0, 0.5, -0.5])


@pytest.mark.parametrize("when", ["between", "with the message", "frozen stamp"])
def test_a_deadman_switch_that_is_let_go_holds(when: str) -> None:
    rig = Rig().armed()
    rig.drive(0.2, [0.4, 0.5, -0.5])
    rig.deadman = False
    if when == "with the message":
        rig.loop.inputs.hear_deadman(False, 10**9)
        rig.tick()
        assert rig.loop.state is State.HOLD
    else:
        count = 0
        while rig.loop.state is State.ARMED and count < 400:
            if when == "frozen stamp":
                rig.loop.inputs.hear_deadman(True, rig.ticks if count == 0 else rig.ticks - count)
            rig.tick()
            count += 1
        assert count * TICK == pytest.approx(0.25, abs=3 * TICK)
    rig.deadman = True
    rig.drive(0.2, [0.4, 0.5, -0.5])
    assert rig.loop.state is State.HOLD  # holding it again does not arm


def test_an_operator_may_hold_and_arm_again() -> None:
    rig = Rig().armed()
    rig.drive(0.2, [0.4, 0.5, -0.5])
    rig.must(Event.HOLD)
    rig.run(0.2)
    assert rig.loop.chunks.left_s(rig.clock_s) == 0.0
    rig.must(Event.ARM)
    rig.drive(1.0, [0.4, 0.5, -0.5])
    assert np.allclose(rig.bus.position, [0.4, 0.5, -0.5], atol=1e-6)


@pytest.mark.parametrize("state", [State.IDLE, State.READY, State.HOLD, State.ARMED, State.SOFT_STOP, State.DAMPING])
def test_an_emergency_stop_works_in_every_state_and_only_a_reset_ends_it(state: State) -> None:
    rig = in_state(state)
    rig.loop.inputs.hear_estop(True)
    rig.tick()
    assert rig.loop.state is State.ESTOP
    accepted, sentence = rig.ask(Event.RESET)
    assert not accepted and "button" in sentence
    rig.loop.inputs.hear_estop(False)
    rig.run(0.3)
    assert rig.loop.state is State.ESTOP
    still = [c.position for c in rig.bus.written[-20:]]
    assert np.ptp(still, axis=0).max() < 1e-9
    rig.must(Event.RESET)
    assert rig.loop.state is State.IDLE
    rig.hold()


def in_state(state: State, **config: object) -> Rig:
    rig = Rig(**config)  # type: ignore[arg-type]
    if state is State.IDLE:
        rig.tick(5)
    elif state is State.READY:
        rig.tick(5)
        rig.must(Event.READY)
        rig.run(0.1)
    elif state is State.ARMED:
        rig.armed().drive(0.3, [0.6, 0.5, -0.5])
    else:
        rig.hold()
        if state is State.SOFT_STOP:
            rig.must(Event.SOFT_STOP)
        if state is State.DAMPING:
            rig.must(Event.DAMP)
    assert rig.loop.state is state
    return rig


def test_emergency_stop_and_reset_in_one_tick_end_in_emergency_stop() -> None:
    for order in ((Event.ESTOP, Event.RESET), (Event.RESET, Event.ESTOP)):
        rig = Rig().armed()
        for event in order:
            rig.loop.inputs.ask(event)
        rig.tick()
        assert rig.loop.state is State.ESTOP


def test_damping_is_told_again_and_again() -> None:
    rig = in_state(State.ARMED)
    rig.must(Event.DAMP)
    count = len(rig.bus.written)
    rig.run(0.2)
    last = rig.bus.written[count:]
    assert len(last) == 100
    assert all(not c.stiffness.any() and np.array_equal(c.damping, [3.0] * 3) for c in last)
    rig.must(Event.RESET)
    assert rig.loop.state is State.IDLE


def test_observations_come_in_every_state_at_the_control_rate() -> None:
    rig = Rig()
    rig.run(0.2)
    seen = [r for r in rig.loop.reports if isinstance(r, Observed)]
    assert len(seen) == 10
    assert np.allclose(np.diff([s.stamp_ns for s in seen]) * 1e-9, PERIOD)
    assert seen[-1].stamp_ns == to_ns(seen[-1].bus.time_s)
    assert np.array_equal(seen[-1].vector, [0.3, -0.2, 0.1])


def test_what_was_asked_and_sent_are_told_with_the_reasons() -> None:
    rig = Rig().armed()
    rig.drive(0.2, [5.0, 0.5, -0.5])
    acted = rig.acted()[-2]
    assert acted.asked is not None and acted.asked[0] == 5.0 and acted.sent[0] == 2.0
    assert {i.reason for i in acted.interventions} >= {"limit"}
    assert "limit" in rig.loop.status(rig.clock_s).last_intervention


def test_buttons_of_the_remote_control_ask_like_operators() -> None:
    rig = Rig(presses=(ButtonPress(("L2", "B"), Event.DAMP),), deadman_buttons=("R1",))
    down: set[str] = set()
    rig.bus.spoil = lambda state: replace(state, buttons=frozenset(down))
    rig.hold()
    down |= {"R1"}
    rig.tick()
    rig.must(Event.ARM)
    rig.run(0.5)
    assert rig.loop.state is State.ARMED
    down |= {"L2", "B"}
    rig.tick(2)
    assert rig.loop.state is State.DAMPING
    rig.must(Event.RESET)
    rig.run(0.1)
    assert rig.loop.state is State.IDLE  # held down still, which asks for nothing new


def test_a_controller_that_keeps_a_balance_goes_on_in_hold() -> None:
    rest = np.array([0.1, 0.5, -0.5])
    rig = Rig(controller=ToyController(servo_hz=500.0), rest_action=lambda last: rest).armed()
    rig.drive(0.3, [0.4, 0.5, -0.5])
    rig.must(Event.HOLD)
    resets = rig.controller.calls.count("reset")
    rig.run(0.5)
    assert rig.loop.state is State.HOLD and np.allclose(rig.bus.position, rest, atol=1e-6)
    rig.must(Event.ARM)
    rig.drive(0.3, [0.4, 0.5, -0.5])
    assert rig.controller.calls.count("reset") == resets  # it never stopped
    rig.must(Event.SOFT_STOP)
    rig.run(0.3)
    position = rig.bus.position.copy()
    rig.run(0.3)
    assert np.array_equal(position, rig.bus.position)


def test_efforts_are_limited_and_a_stop_holds_where_the_joints_are() -> None:
    rig = Rig(controller=ToyController("effort", servo_hz=500.0)).armed()
    rig.controller.spoil = lambda c: replace(c, effort=c.effort * 100.0)
    rig.drive(0.2, [1.0, -1.0, 0.5])
    assert np.array_equal(rig.bus.written[-1].effort, [10.0, -10.0, 10.0])
    rig.must(Event.HOLD)
    assert np.array_equal(rig.bus.written[-1].effort, np.zeros(3))
    assert np.allclose(rig.bus.written[-1].position, rig.bus.position)


def test_gains_beyond_their_limits_are_cut() -> None:
    rig = Rig().armed()
    rig.controller.spoil = lambda c: replace(c, stiffness=c.stiffness * 1e3, damping=-c.damping)
    rig.drive(0.1, [0.1, 0.5, -0.5])
    assert np.array_equal(rig.bus.written[-1].stiffness, [200.0] * 3)
    assert np.array_equal(rig.bus.written[-1].damping, [0.0] * 3)


def test_disengaging_releases_and_engaging_again_begins_idle() -> None:
    rig = in_state(State.ARMED)
    rig.loop.disengage(rig.clock_s)
    count = len(rig.bus.written)
    rig.run(0.1)
    assert rig.loop.state is State.UNCONFIGURED and len(rig.bus.written) == count
    assert not rig.ask(Event.ARM)[0]
    rig.loop.engage(rig.clock_s)
    rig.run(0.1)
    assert rig.loop.state is State.IDLE
    assert rig.bus.calls == ["open", "engage", "release", "engage"]


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="obeys positions alone"):
        Rig(bus=ToyBus(obeys="position"), controller=ToyController("effort"))
    with pytest.raises(ConfigError, match="does not divide"):
        Rig(controller=ToyController(servo_hz=333.0))
    with pytest.raises(ConfigError, match="start pose"):
        Rig(start_pose=(0.0,))
