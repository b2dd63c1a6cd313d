"""Faults put in exact to a tick: what stops the robot, how, and what it takes to go on; all commands are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.joint_bus import BusError, BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.seeding import generator
from robot_stack.hardware.state_machine import Event, State
from tests.hardware.toy_robot import TICK, Rig, ToyBus, ToyController, to_ns

UPRIGHT, LYING = np.array([1.0, 0, 0, 0]), np.array([np.cos(0.6), np.sin(0.6), 0, 0])


def driven(**config: object) -> Rig:
    rig = Rig(**config).armed()  # type: ignore[arg-type]
    rig.drive(0.3, [0.5, 0.5, -0.5])
    assert rig.loop.state is State.ARMED
    return rig


def stops(rig: Rig, words: str, state: State = State.SOFT_STOP, within_s: float = 0.1 + 3 * TICK) -> None:
    """The robot stops in time, says why, and comes to rest; an operator cannot go on as if nothing had been."""
    begin_s = rig.clock_s
    while rig.loop.state is State.ARMED and rig.clock_s - begin_s < 1.0:
        rig.tick()
    assert rig.clock_s - begin_s <= within_s + 1e-9
    assert rig.loop.state is state
    assert words in rig.loop.latched
    rig.run(0.3)
    still = [c.position for c in rig.bus.written[-20:] if c.stiffness.any()]
    assert not still or np.ptp(still, axis=0).max() < 1e-9
    for event in (Event.ARM, Event.HOLD, Event.READY):
        assert not rig.ask(event)[0]
    assert rig.loop.state is state


def frozen(rig: Rig) -> Callable[[BusState], BusState]:
    kept: list[BusState] = []

    def spoil(state: BusState) -> BusState:
        kept.append(state)
        return replace(kept[0], time_s=state.time_s)

    return spoil


def spoilt(**change: object) -> Callable[[Rig], Callable[[BusState], BusState | None]]:
    return lambda rig: lambda state: replace(state, **change)  # type: ignore[arg-type]


JUMPED = np.array([0.4 + 2 * np.pi, 0.5, -0.5])
SPOILS = [
    ("nothing is heard", lambda rig: lambda state: None, "nothing was heard", TICK),
    ("old times", lambda rig: lambda state: replace(state, time_s=rig.clock_s - 0.5), "state is", TICK),
    ("the future", lambda rig: lambda state: replace(state, time_s=rig.clock_s + 9.0), "state is", TICK),
    ("frozen sequence", frozen, "has not changed", 0.1 + 3 * TICK),
    ("NaN", spoilt(joint_position=np.array([0.0, np.nan, 0.0])), "finite", TICK),
    ("infinite velocity", spoilt(joint_velocity=np.array([0.0, np.inf, 0.0])), "finite", TICK),
    ("wrong size", spoilt(joint_position=np.zeros(2)), "finite numbers", TICK),
    ("encoder jump", spoilt(joint_position=JUMPED), "jumped", TICK),
    ("zero quaternion", spoilt(q_world_base=np.zeros(4)), "quaternion", TICK),
    ("gyroscope", spoilt(w_base=np.array([np.nan, 0, 0])), "w_base", TICK),
    ("motor too hot", spoilt(faults=("motor 3 is at 125 °C",)), "125 °C", TICK),
]


@pytest.mark.parametrize(("spoil", "words", "within_s"), [s[1:] for s in SPOILS], ids=[s[0] for s in SPOILS])
def test_bad_states_stop_the_robot(spoil: Callable, words: str, within_s: float) -> None:
    rig = driven()
    rig.bus.spoil = spoil(rig)
    stops(rig, words, within_s=within_s + TICK)
    accepted, sentence = rig.ask(Event.RESET)
    if words != "jumped":  # a jump is there for one tick; then the joint is far out of its range
        assert not accepted, sentence
    rig.bus.spoil = None
    rig.run(0.2)
    rig.must(Event.RESET)
    assert rig.loop.state is State.HOLD and not rig.loop.latched
    rig.must(Event.ARM)
    rig.drive(0.3, [0.1, 0.5, -0.5])
    assert rig.loop.state is State.ARMED


def test_states_out_of_order_alone_do_not_stop_it() -> None:
    rig = driven()
    rig.bus.spoil = lambda state: replace(state, sequence=state.sequence - 3 * (rig.ticks % 2))
    rig.drive(0.3, [0.1, 0.5, -0.5])
    assert rig.loop.state is State.ARMED
    assert rig.loop.status(rig.clock_s).states_out_of_order > 50


def test_a_robot_that_was_started_again_stops() -> None:
    rig = driven()
    rig.bus.spoil = lambda state: replace(state, sequence=state.sequence - 1000)
    stops(rig, "state", within_s=0.1 + 3 * TICK)


def test_a_bus_that_raises_stops_it_and_is_tried_again() -> None:
    rig = driven()
    rig.bus.read_error = BusError("the cable is out")
    stops(rig, "the cable is out", within_s=2 * TICK)
    rig.bus.read_error = None
    rig.run(0.2)
    rig.must(Event.RESET)

    rig = driven()
    rig.bus.write_error = OSError("no buffer space")
    last = rig.bus.written[-1].position
    rig.run(0.3)
    assert rig.loop.state is State.SOFT_STOP and "no buffer space" in rig.loop.latched
    count = len(rig.bus.written)
    rig.bus.write_error = None
    rig.run(0.1)
    assert len(rig.bus.written) == count + 50
    assert np.allclose(rig.bus.written[-1].position, last)  # it rests where the robot was told to be last


def test_a_legged_robot_holds_while_upright_and_damps_when_not() -> None:
    rig = driven(stop="hold_upright", bus=ToyBus(q_world_base=UPRIGHT))
    rig.bus.spoil = spoilt(faults=("battery empty",))(rig)
    stops(rig, "battery", within_s=2 * TICK)
    rig.bus.q_world_base = LYING
    rig.run(0.1)
    assert rig.loop.state is State.DAMPING
    assert not rig.bus.written[-1].stiffness.any() and rig.bus.written[-1].damping.all()

    blind = driven(stop="hold_upright", bus=ToyBus(q_world_base=UPRIGHT))
    blind.bus.spoil = lambda state: None
    blind.run(0.2)
    assert blind.loop.state is State.DAMPING
    count = len(blind.bus.written)
    blind.run(0.2)
    assert len(blind.bus.written) == count + 100  # again and again, though nothing is heard


def test_an_emergency_stop_of_a_fallen_robot_damps_and_never_holds_again() -> None:
    rig = driven(stop="hold_upright", bus=ToyBus(q_world_base=UPRIGHT))
    rig.loop.inputs.hear_estop(True)
    rig.run(0.1)
    assert rig.bus.written[-1].stiffness.all()
    rig.bus.q_world_base = LYING
    rig.run(0.1)
    assert not rig.bus.written[-1].stiffness.any()
    rig.bus.q_world_base = UPRIGHT
    rig.run(0.1)
    assert not rig.bus.written[-1].stiffness.any()


def test_tilt_beyond_its_limit_stops() -> None:
    rig = driven(stop="hold_upright", max_tilt_rad=1.0, bus=ToyBus(q_world_base=UPRIGHT))
    rig.bus.q_world_base = LYING
    stops(rig, "tilted by 1.20 rad", State.DAMPING, within_s=2 * TICK)


def test_a_tracking_system_that_falls_silent_stops_what_needs_it() -> None:
    rig = Rig(tracked=True)
    rig.run(0.1)
    assert not [r for r in rig.loop.reports if type(r).__name__ == "Observed"]
    rig.hold()
    rig.deadman = True
    accepted, sentence = rig.ask(Event.ARM)
    assert not accepted and "object: not tracked yet" in sentence

    def see() -> None:
        rig.loop.inputs.hear_tracked({"object": np.array([0.5, 0.1])})

    see()
    rig.tick(20)
    assert rig.observed().vector.tolist()[-2:] == [0.5, 0.1]
    rig.must(Event.ARM)
    for _ in range(20):
        see()
        rig.drive(0.02, [0.2, 0.5, -0.5])
    assert rig.loop.state is State.ARMED
    stops(rig, "not tracked for", within_s=0.25 + 3 * TICK)
    assert rig.ask(Event.RESET)[0]  # nothing is wrong with the robot; it cannot be armed until it sees
    assert "not tracked" in rig.ask(Event.ARM)[1]


@pytest.mark.parametrize("what", ["raises", "NaN position", "NaN gain", "wrong size"])
def test_a_controller_that_fails_stops_the_robot(what: str) -> None:
    rig = driven()

    def spoil(command: JointCommand) -> JointCommand:
        if what == "NaN position":
            return replace(command, position=np.full(3, np.nan))
        if what == "NaN gain":
            return replace(command, damping=np.full(3, np.nan))
        return replace(command, position=np.zeros(2))

    if what == "raises":
        rig.controller.error = ValueError("no solution")
    else:
        rig.controller.spoil = spoil
    for _ in range(3):
        rig.loop.inputs.hear_chunk(rig.chunk([0.5, 0.5, -0.5]))
        rig.run(0.02)
    if what == "NaN position":  # the filter refuses it and rests; the driver may do better next time
        assert rig.loop.state is State.ARMED
        assert "non_finite" in rig.loop.status(rig.clock_s).last_intervention
        return
    assert rig.loop.state is State.SOFT_STOP
    assert "controller failed" in rig.loop.latched


def test_a_machine_that_stood_still_stops_the_robot() -> None:
    rig = driven()
    rig.late_s = 0.6
    rig.tick()
    rig.late_s = 0.0
    stops(rig, "600 ms late", within_s=2 * TICK)


def test_a_joint_that_does_not_follow_ends_the_way_to_the_start_pose() -> None:
    rig = Rig()
    rig.tick(5)
    rig.must(Event.READY)
    rig.bus.spoil = lambda state: replace(state, joint_position=np.array([0.3, -0.2, 0.1]))
    rig.run(4.0)
    assert rig.loop.state is State.SOFT_STOP and "'b' is 0.50 away" in rig.loop.latched


def test_a_joint_out_of_its_range_cannot_get_ready() -> None:
    rig = Rig(bus=ToyBus(position=np.array([2.5, 0.0, 0.0])))
    rig.tick(5)
    accepted, sentence = rig.ask(Event.READY)
    assert not accepted and "out of its limits" in sentence
    assert rig.loop.state is State.IDLE


def test_a_robot_that_is_not_where_it_is_told_to_be_is_not_armed() -> None:
    rig = Rig().hold()
    pushed = np.zeros(3)

    def push(state: BusState) -> BusState:
        pushed[2] = min(0.35, pushed[2] + 0.002)
        return replace(state, joint_position=state.joint_position + pushed)

    rig.bus.spoil = push
    rig.run(0.6)
    rig.deadman = True
    rig.tick()
    accepted, sentence = rig.ask(Event.ARM)
    assert not accepted and "'c' is 0.35 away" in sentence


def test_a_defect_of_our_own_still_holds_or_damps() -> None:
    for stop, stiff in (("hold", True), ("hold_upright", False)):
        rig = driven(stop=stop)
        rig.loop.last_resort(RuntimeError("a defect"))
        assert rig.loop.state is State.ESTOP and "a defect" in rig.loop.latched
        assert bool(rig.bus.written[-1].stiffness.any()) is stiff
        rig.run(0.1)
        assert bool(rig.bus.written[-1].stiffness.any()) is stiff


def test_chunks_full_of_rubbish_move_nothing() -> None:
    rig = driven()
    rig.run(0.5)
    position = rig.bus.position.copy()
    rubbish = [
        rig.chunk([np.nan] * 3),
        rig.chunk([1e300] * 3),
        rig.chunk([1.0, 1.0]),
        rig.chunk([1.0] * 3, names=("c", "b", "a")),
        rig.chunk([1.0] * 3, fingerprint="another robot"),
        rig.chunk([1.0] * 3, stamp_ns=to_ns(rig.clock_s + 100.0)),
        rig.chunk([1.0] * 3, stamp_ns=0),
        rig.chunk([1.0] * 3, offsets_s=np.full(8, np.nan)),
    ]
    for chunk in rubbish:
        rig.loop.inputs.hear_chunk(chunk)
        rig.run(0.02)
    assert np.array_equal(rig.bus.position, position)
    assert sum(rig.loop.chunks.refused.values()) == len(rubbish)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 60))])
def test_nothing_ever_leaves_the_limits(seed: int) -> None:
    """Random operators, drivers and faults; the rig looks at every command."""
    random = generator(seed, 4)
    guards = ("position", "position", "effort")[seed % 3]
    stop = ("hold", "hold_upright")[seed % 2]
    bus = ToyBus(q_world_base=UPRIGHT)
    rig = Rig(bus=bus, controller=ToyController(guards), stop=stop)  # type: ignore[arg-type]
    spoils = [spoil(rig) for _, spoil, _, _ in SPOILS]
    rig.deadman = True
    rig.tick(5)
    for _ in range(80):
        what = random.integers(12)
        if what < 3:
            rig.loop.inputs.ask(list(Event)[2:][random.integers(len(Event) - 2)])
        elif what == 3:
            bus.spoil = spoils[random.integers(len(spoils))]
        elif what == 4:
            rig.deadman = bool(random.random() < 0.8)
        elif what == 5:
            rig.loop.inputs.hear_estop(bool(random.random() < 0.3))
        elif what == 6:
            bus.read_error = BusError("no") if random.random() < 0.3 else None
        elif what < 10:
            bus.spoil, bus.read_error = None, None
            rig.loop.inputs.ask((Event.RESET, Event.READY, Event.ARM)[what - 7])
        if [r for r in rig.loop.reports if type(r).__name__ == "Observed"]:
            scale = 10.0 ** random.integers(-2, 3)
            rig.loop.inputs.hear_chunk(rig.chunk(random.normal(size=(8, 3)) * scale))
        rig.tick(int(random.integers(1, 30)))
    assert rig.loop.driving is not None and not rig.loop.driving.failure
