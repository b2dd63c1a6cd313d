"""What operators and machines do: switches, buttons, requests at the wrong time, ticks that come late."""

from __future__ import annotations

from robot_stack.deploy.faults.bench import Bench
from robot_stack.deploy.faults.case import GOES_ON, STILL, STOPS, FaultCase, Inject
from robot_stack.hardware.loop_config import LoopConfig
from robot_stack.hardware.state_machine import Event, State

_DEADMAN_S = LoopConfig(control_hz=50.0).deadman_timeout_s


def _deadman(name: str, value: bool) -> Inject:
    def inject(bench: Bench) -> None:
        setattr(bench, name, value)

    return inject


def _ask(*events: Event) -> Inject:
    def inject(bench: Bench) -> None:
        for event in events:
            bench.loop.inputs.ask(event)

    return inject


def _button(bench: Bench) -> None:
    bench.loop.inputs.hear_estop(True)


def _button_up(bench: Bench) -> None:
    bench.loop.inputs.hear_estop(False)


def _late(seconds: float) -> Inject:
    def inject(bench: Bench) -> None:
        bench.late_s = seconds

    return inject


def _during_the_way(bench: Bench) -> None:
    """Back to HOLD, on the way to the start pose, and there the emergency stop."""
    bench.ask(Event.HOLD)
    bench.ask(Event.READY)
    bench.run(0.1)
    bench.loop.inputs.hear_estop(True)


def _arm_while_estopped(bench: Bench) -> None:
    bench.loop.inputs.hear_estop(True)
    bench.tick()
    for event in (Event.ARM, Event.READY, Event.HOLD):
        bench.loop.inputs.ask(event)


_ESTOP = frozenset({State.ESTOP})

OPERATOR_CASES: tuple[FaultCase, ...] = (
    FaultCase(
        "operator",
        "the deadman switch is let go",
        _deadman("deadman_held", False),
        "back to HOLD",
        STILL,
        bound_s=0.1,
        shows="deadman_lost",
        heal=_deadman("deadman_held", True),
    ),
    FaultCase(
        "operator",
        "the deadman switch falls silent",
        _deadman("deadman_silent", True),
        "back to HOLD",
        STILL,
        bound_s=_DEADMAN_S + 0.06,
        shows="deadman_lost",
        heal=_deadman("deadman_silent", False),
    ),
    FaultCase("operator", "emergency stop", _button, "ESTOP, latched", _ESTOP, latches=True, heal=_button_up),
    FaultCase(
        "operator",
        "emergency stop on the way to the start pose",
        _during_the_way,
        "ESTOP, latched",
        _ESTOP,
        latches=True,
        heal=_button_up,
    ),
    FaultCase(
        "operator",
        "emergency stop and reset in one tick",
        _ask(Event.ESTOP, Event.RESET),
        "the stop wins",
        _ESTOP,
        latches=True,
    ),
    FaultCase(
        "operator",
        "arm, ready and hold under emergency stop",
        _arm_while_estopped,
        "refused",
        _ESTOP,
        latches=True,
        heal=_button_up,
    ),
    FaultCase("operator", "armed twice", _ask(Event.ARM, Event.ARM), "goes on", GOES_ON),
    FaultCase("operator", "ready while armed", _ask(Event.READY), "refused; goes on", GOES_ON),
    FaultCase("operator", "soft stop", _ask(Event.SOFT_STOP), "brakes and holds", STOPS),
    FaultCase(
        "operator",
        "damp",
        _ask(Event.DAMP),
        "joints without stiffness, told so at every tick",
        STOPS,
        robots=("g1", "locoman"),
    ),
    FaultCase("process", "a tick 20 ms late", _late(0.02), "goes on; counted", GOES_ON),
    FaultCase("process", "a tick 90 ms late (garbage collection)", _late(0.09), "goes on; counted", GOES_ON),
    FaultCase(
        "process", "a tick 600 ms late (starved)", _late(0.6), "stops, latched", STOPS, bound_s=0.66, latches=True
    ),
)
"""Faults of operators and machines."""
