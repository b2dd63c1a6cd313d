"""Every state with every event, against a table written out by hand, and what must never be possible."""

from __future__ import annotations

import itertools

import pytest

from robot_stack.hardware.state_machine import REQUESTS, STOPPED, Conditions, Event, State, decide

GOOD = Conditions(deadman=True)
U, I, R, H, A, S, D, E = (  # noqa: E741 - the columns below
    State.UNCONFIGURED,
    State.IDLE,
    State.READY,
    State.HOLD,
    State.ARMED,
    State.SOFT_STOP,
    State.DAMPING,
    State.ESTOP,
)
ORDER = (U, I, R, H, A, S, D, E)
TABLE: dict[Event, tuple[State | None, ...]] = {  # None: refused
    # from                 U     I     R     H     A     S     D     E
    Event.ENGAGED: (I, None, None, None, None, None, None, None),
    Event.RELEASED: (U, U, U, U, U, U, U, U),
    Event.READY: (None, R, R, R, None, None, None, None),
    Event.ARRIVED: (None, None, H, None, None, None, None, None),
    Event.HOLD: (None, None, H, H, H, H, None, None),
    Event.ARM: (None, None, None, A, A, None, None, None),
    Event.SOFT_STOP: (None, I, S, S, S, S, D, E),
    Event.DAMP: (None, D, D, D, D, D, D, E),
    Event.ESTOP: (None, E, E, E, E, E, E, E),
    Event.RESET: (None, I, None, H, None, H, I, I),
    Event.DEADMAN_LOST: (None, None, None, None, H, None, None, None),
    Event.DRIVER_LOST: (None, None, None, None, H, None, None, None),
    Event.FAULT_HOLD: (None, I, S, S, S, S, D, E),
    Event.FAULT_DAMP: (None, I, D, D, D, D, D, E),
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_way(state: State, event: Event) -> None:
    expected = TABLE[event][ORDER.index(state)]
    decision = decide(state, event, GOOD)
    assert decision.accepted == (expected is not None)
    assert decision.state is (state if expected is None else expected)
    assert decision.sentence


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(Event) and set(ORDER) == set(State)


def every_condition() -> list[Conditions]:
    return [
        Conditions(fault, latched, deadman, estop, can_damp, not_armable)
        for fault, latched, deadman, estop, can_damp, not_armable in itertools.product(
            ("", "hot"), ("", "was hot"), (False, True), (False, True), (False, True), ("", "a joint is off")
        )
    ]


def test_only_one_way_leads_to_armed_and_only_with_everything_in_order() -> None:
    for state, event, conditions in itertools.product(State, Event, every_condition()):
        decision = decide(state, event, conditions)
        if decision.state is State.ARMED and state is not State.ARMED:
            assert (state, event) == (State.HOLD, Event.ARM)
            assert conditions.deadman and not conditions.estop_pressed
            assert not (conditions.fault or conditions.latched or conditions.not_armable)


def test_motion_needs_a_request_and_nothing_wrong() -> None:
    for state, event, conditions in itertools.product(State, Event, every_condition()):
        decision = decide(state, event, conditions)
        if decision.state in (State.READY, State.ARMED) and decision.state is not state:
            assert event in REQUESTS
            assert not (conditions.fault or conditions.latched or conditions.estop_pressed)


def test_stops_are_never_refused_once_engaged() -> None:
    for state, event, conditions in itertools.product(State, Event, every_condition()):
        stops = (Event.SOFT_STOP, Event.DAMP, Event.ESTOP, Event.FAULT_HOLD, Event.FAULT_DAMP)
        if event in stops and state is not State.UNCONFIGURED:
            decision = decide(state, event, conditions)
            assert decision.accepted
            assert decision.state in STOPPED or decision.state is State.IDLE


def test_only_a_reset_leads_out_of_damping_and_emergency_stop() -> None:
    for state, event, conditions in itertools.product((State.DAMPING, State.ESTOP), Event, every_condition()):
        decision = decide(state, event, conditions)
        if decision.state in (state, State.UNCONFIGURED, State.ESTOP):
            continue
        assert event is Event.RESET and decision.state is State.IDLE
        assert not conditions.fault and not conditions.estop_pressed


def test_a_robot_that_cannot_damp_holds_instead() -> None:
    for state in State:
        decision = decide(state, Event.DAMP, Conditions(can_damp=False))
        assert decision.state is not State.DAMPING or state is State.DAMPING
    assert decide(State.ARMED, Event.DAMP, Conditions(can_damp=False)).state is State.SOFT_STOP


def test_after_a_fault_hold_alone_is_not_enough() -> None:
    latched = Conditions(latched="stale_observation")
    assert not decide(State.SOFT_STOP, Event.HOLD, latched).accepted
    assert decide(State.SOFT_STOP, Event.RESET, latched).state is State.HOLD
    assert not decide(State.SOFT_STOP, Event.RESET, Conditions(fault="still hot", latched="hot")).accepted


@pytest.mark.parametrize(
    ("state", "event", "conditions", "words"),
    [
        (State.HOLD, Event.ARM, Conditions(), "deadman"),
        (State.HOLD, Event.ARM, Conditions(deadman=True, not_armable="joint 3 is off"), "joint 3 is off"),
        (State.HOLD, Event.ARM, Conditions(deadman=True, estop_pressed=True), "emergency stop"),
        (State.IDLE, Event.ARM, GOOD, "ready"),
        (State.UNCONFIGURED, Event.READY, GOOD, "activate"),
        (State.ESTOP, Event.READY, GOOD, "reset"),
        (State.ESTOP, Event.RESET, Conditions(fault="too hot"), "too hot"),
    ],
)
def test_refusals_say_what_to_do(state: State, event: Event, conditions: Conditions, words: str) -> None:
    decision = decide(state, event, conditions)
    assert not decision.accepted and decision.state is state and words in decision.sentence
