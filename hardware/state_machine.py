"""What state a robot is in, and which way leads where: a table, with the conditions of each way in words.

A robot moves by a driver's actions in ``ARMED`` alone, and by itself in ``READY`` alone. Every way there begins with an
operator's request; a process that was started again begins ``UNCONFIGURED`` like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Of a robot's process."""

    UNCONFIGURED = "UNCONFIGURED"
    """Nothing is sent to the robot."""

    IDLE = "IDLE"
    """Engaged and at rest: limp where the robot can be, else where it stood."""

    READY = "READY"
    """On its way from the measured pose to the start pose."""

    HOLD = "HOLD"
    """Stays as it is."""

    ARMED = "ARMED"
    """A driver's actions are obeyed, while somebody holds the deadman switch."""

    SOFT_STOP = "SOFT_STOP"
    """Braked to rest and holds."""

    DAMPING = "DAMPING"
    """Joints without stiffness, with damping, told so again and again."""

    ESTOP = "ESTOP"
    """Emergency stop: holds or damps as the robot's stop behaviour says, until an operator resets it."""


class Event(Enum):
    """What happens to a robot's process."""

    ENGAGED = "engaged"
    """The robot listens to us."""

    RELEASED = "released"
    """The robot no longer listens to us."""

    READY = "ready"
    """An operator wants it at its start pose."""

    ARRIVED = "arrived"
    """It is there."""

    HOLD = "hold"
    """An operator wants it to stay as it is."""

    ARM = "arm"
    """An operator gives it to the driver."""

    SOFT_STOP = "soft_stop"
    """An operator, or a button, stops it."""

    DAMP = "damp"
    """An operator, or a button, makes it limp."""

    ESTOP = "estop"
    """Emergency stop, from anywhere."""

    RESET = "reset"
    """An operator clears a stop."""

    DEADMAN_LOST = "deadman_lost"
    """Nobody holds the deadman switch any more."""

    DRIVER_LOST = "driver_lost"
    """No action came for too long."""

    FAULT_HOLD = "fault_hold"
    """Something is wrong, and the robot can hold."""

    FAULT_DAMP = "fault_damp"
    """Something is wrong, and the robot cannot hold."""


REQUESTS = (Event.READY, Event.HOLD, Event.ARM, Event.SOFT_STOP, Event.DAMP, Event.ESTOP, Event.RESET)
"""What operators may ask for."""

STOPPED = frozenset({State.SOFT_STOP, State.DAMPING, State.ESTOP})
"""States that a stop leads to."""


@dataclass(frozen=True)
class Conditions:
    """What has to be known besides the state to decide. Empty sentences mean that nothing is wrong."""

    fault: str = ""
    """What is wrong now, in words; a state that is not fresh is wrong."""

    latched: str = ""
    """What was wrong since the last reset, in words."""

    deadman: bool = False
    """Somebody holds the deadman switch."""

    estop_pressed: bool = False
    """An emergency stop button is down."""

    can_damp: bool = True
    """The robot obeys gains."""

    not_armable: str = ""
    """Why it must not be armed, in words: a joint is not where it is told to be."""


@dataclass(frozen=True)
class Decision:
    """What comes of an event."""

    state: State
    """The state from now on."""

    accepted: bool
    """The event was obeyed; asking for the state that is counts as obeyed."""

    sentence: str
    """For a person."""


_S, _E = State, Event

WAYS: dict[tuple[State, Event], State] = {
    (_S.UNCONFIGURED, _E.ENGAGED): _S.IDLE,
    (_S.IDLE, _E.READY): _S.READY,
    (_S.IDLE, _E.DAMP): _S.DAMPING,
    (_S.IDLE, _E.RESET): _S.IDLE,
    (_S.IDLE, _E.SOFT_STOP): _S.IDLE,
    (_S.IDLE, _E.FAULT_HOLD): _S.IDLE,
    (_S.IDLE, _E.FAULT_DAMP): _S.IDLE,
    (_S.READY, _E.READY): _S.READY,
    (_S.READY, _E.ARRIVED): _S.HOLD,
    (_S.READY, _E.HOLD): _S.HOLD,
    (_S.HOLD, _E.READY): _S.READY,
    (_S.HOLD, _E.HOLD): _S.HOLD,
    (_S.HOLD, _E.ARM): _S.ARMED,
    (_S.HOLD, _E.RESET): _S.HOLD,
    (_S.ARMED, _E.ARM): _S.ARMED,
    (_S.ARMED, _E.HOLD): _S.HOLD,
    (_S.ARMED, _E.DEADMAN_LOST): _S.HOLD,
    (_S.ARMED, _E.DRIVER_LOST): _S.HOLD,
    (_S.SOFT_STOP, _E.HOLD): _S.HOLD,
    (_S.SOFT_STOP, _E.RESET): _S.HOLD,
    (_S.DAMPING, _E.DAMP): _S.DAMPING,
    (_S.DAMPING, _E.SOFT_STOP): _S.DAMPING,
    (_S.DAMPING, _E.RESET): _S.IDLE,
    (_S.DAMPING, _E.FAULT_HOLD): _S.DAMPING,
    (_S.DAMPING, _E.FAULT_DAMP): _S.DAMPING,
    (_S.ESTOP, _E.RESET): _S.IDLE,
    (_S.ESTOP, _E.SOFT_STOP): _S.ESTOP,
    (_S.ESTOP, _E.DAMP): _S.ESTOP,
    (_S.ESTOP, _E.FAULT_HOLD): _S.ESTOP,
    (_S.ESTOP, _E.FAULT_DAMP): _S.ESTOP,
    **{(s, _E.ESTOP): _S.ESTOP for s in State if s is not _S.UNCONFIGURED},
    **{(s, _E.RELEASED): _S.UNCONFIGURED for s in State},
    **{(s, _E.SOFT_STOP): _S.SOFT_STOP for s in (_S.READY, _S.HOLD, _S.ARMED, _S.SOFT_STOP)},
    **{(s, _E.DAMP): _S.DAMPING for s in (_S.READY, _S.HOLD, _S.ARMED, _S.SOFT_STOP)},
    **{(s, _E.FAULT_HOLD): _S.SOFT_STOP for s in (_S.READY, _S.HOLD, _S.ARMED, _S.SOFT_STOP)},
    **{(s, _E.FAULT_DAMP): _S.DAMPING for s in (_S.READY, _S.HOLD, _S.ARMED, _S.SOFT_STOP)},
}
"""Where every event that is obeyed leads; an event that is not here changes nothing."""

_WHY_NOT: dict[tuple[State, Event], str] = {
    (_S.IDLE, _E.HOLD): "bring it to its start pose first (ready)",
    (_S.IDLE, _E.ARM): "bring it to its start pose first (ready)",
    (_S.READY, _E.ARM): "it is on its way to the start pose; wait until it holds",
    (_S.READY, _E.RESET): "there is nothing to reset",
    (_S.ARMED, _E.READY): "take it from the driver first (hold)",
    (_S.ARMED, _E.RESET): "there is nothing to reset",
    (_S.SOFT_STOP, _E.READY): "end the stop first (hold, or reset after a fault)",
    (_S.SOFT_STOP, _E.ARM): "end the stop first (hold, or reset after a fault)",
}


def decide(state: State, event: Event, conditions: Conditions = Conditions()) -> Decision:
    """What comes of an event; a pure function.

    Args:
        state: the state now.
        event: what happens.
        conditions: what is known besides.
    """
    target = WAYS.get((state, event))
    if event is Event.DAMP and not conditions.can_damp and target is State.DAMPING:
        target = WAYS.get((state, Event.SOFT_STOP))
    if target is None:
        return Decision(state, False, f"{event.value} does not lead on from {state.value}: {_why_not(state, event)}")
    refusal = "" if target is state and event is not Event.RESET else _refusal(state, event, conditions)
    if refusal:
        return Decision(state, False, f"{event.value} was refused in {state.value}: {refusal}")
    if target is state:
        return Decision(state, True, f"it is in {state.value} already")
    return Decision(target, True, f"{event.value}: {state.value} → {target.value}")


def _why_not(state: State, event: Event) -> str:
    if (state, event) in _WHY_NOT:
        return _WHY_NOT[state, event]
    if state is State.UNCONFIGURED:
        return "the robot is not engaged (activate the node)"
    if state in (State.DAMPING, State.ESTOP):
        return "reset it first"
    return "there is no such way"


def _refusal(state: State, event: Event, conditions: Conditions) -> str:
    """Which condition of a way does not hold, or an empty string; ways to a stop have none."""
    if event not in (Event.READY, Event.ARM, Event.RESET) and (state, event) != (State.SOFT_STOP, Event.HOLD):
        return ""
    if conditions.estop_pressed:
        return "an emergency stop button is down"
    if conditions.fault:
        return conditions.fault
    if event is not Event.RESET and conditions.latched:
        return f"reset it first, it was stopped: {conditions.latched}"
    if event is Event.ARM:
        if not conditions.deadman:
            return "nobody holds the deadman switch"
        return conditions.not_armable
    return ""
