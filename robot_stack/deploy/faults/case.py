"""One fault, what is expected of the robot then, and how it is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_stack.deploy.faults.bench import BENCH_ROBOTS, Bench
from robot_stack.hardware.state_machine import STOPPED, Event, State

Inject = Callable[[Bench], None]
"""Puts a fault in, at one tick."""

GOES_ON = frozenset({State.ARMED})
"""The fault is borne."""

STILL = frozenset({State.HOLD, *STOPPED})
"""Nobody drives any more."""

STOPS = STOPPED
"""A stop that somebody has to reset."""


@dataclass(frozen=True, eq=False)
class FaultCase:
    """A fault in simulated time."""

    group: str
    """policy, observation, process, command, operator."""

    name: str
    """What goes wrong, in words."""

    inject: Inject
    """Does it."""

    expected: str
    """What the robot does, in words."""

    states: frozenset[State] = STOPS
    """Where the state machine is to be afterwards."""

    bound_s: float = 0.0
    """It is to be there so long after the fault [s]; 0: at the next tick but two."""

    shows: str = ""
    """Part of what the status says."""

    latches: bool = False
    """A stop stays latched until it is reset."""

    refuses_reset: bool = True
    """A reset is refused while the fault lasts; where it is not, arming is."""

    lasts: bool = True
    """The fault is there until it is healed; otherwise it is over as soon as it was noticed."""

    heal: Inject | None = None
    """Undoes the fault; ``None``: it was over at once."""

    watch_s: float = 1.5
    """How long it is watched [s]."""

    robots: tuple[str, ...] = tuple(BENCH_ROBOTS)
    """On which robots."""

    check: Callable[[Bench], list[str]] | None = None
    """Looks for what else is not as expected, when watching is over."""

    resting: bool = False
    """What is waited for is not a state but that no action is in force, counted from the last good action's time."""


@dataclass(frozen=True)
class FaultResult:
    """What came of a fault on one robot."""

    robot: str
    """Which."""

    reaction_s: float
    """From the fault to the expected state [s]; infinite when it never came."""

    state: str
    """At the end of watching."""

    largest_step: float
    """Of a commanded position, as a share of its limit, heal and reset included."""

    problems: tuple[str, ...]
    """What was not as expected; empty when all was."""


def run_case(case: FaultCase, robot: str, seed: int = 0) -> FaultResult:
    """Arm the robot, put the fault in, watch, heal it, reset.

    Args:
        case: the fault.
        robot: a name of :data:`~robot_stack.deploy.faults.bench.BENCH_ROBOTS`.
        seed: of the robot's start.
    """
    bench = Bench(BENCH_ROBOTS[robot], seed)
    bench.arm()
    problems: list[str] = []
    bound_s = case.bound_s or 3.0 * bench.period_s
    begin = bench.clock.now()
    case.inject(bench)
    reached = _reached(bench, case)
    reaction_s = bench.run(case.watch_s, until=reached)
    if not reached():
        reaction_s = float("inf")
    elif case.resting:
        reaction_s = max(0.0, bench.clock.now() - bench.driver.last_action_s)
    bench.run(max(0.0, case.watch_s - (bench.clock.now() - begin)))
    if not reaction_s <= bound_s + 1e-9:
        problems.append(f"took {reaction_s:.3f} s, bound {bound_s:.3f} s")
    if bench.loop.state not in case.states:
        problems.append(f"ended in {bench.loop.state.value}")
    if case.shows and case.shows not in bench.diagnosis():
        problems.append(f"the status does not say {case.shows!r} but {bench.diagnosis()!r}")
    if case.check is not None:
        problems += case.check(bench)
    state = bench.loop.state.value
    problems += _after(bench, case)
    problems += bench.monitor.violations[:3]
    return FaultResult(robot, reaction_s, state, bench.monitor.largest_step, tuple(problems))


def _reached(bench: Bench, case: FaultCase) -> Callable[[], bool]:
    if case.resting:
        return lambda: bench.loop.chunks.left_s(bench.clock.now()) <= 0.0
    return lambda: bench.loop.state in case.states


def _after(bench: Bench, case: FaultCase) -> list[str]:
    """The latch, then the heal: no driving by itself, no step, and a reset that works."""
    problems: list[str] = []
    if case.latches:
        if not bench.loop.latched:
            problems.append("nothing is latched")
        if case.heal is not None and case.lasts:
            accepted, _ = bench.ask(Event.RESET)
            if accepted and case.refuses_reset:
                problems.append("reset was obeyed while the fault lasted")
            bench.run(0.2)
            accepted, _ = bench.ask(Event.ARM)
            if accepted or bench.loop.state is State.ARMED:
                problems.append("the robot was armed while the fault lasted")
    stopped = bench.loop.state is not State.ARMED
    if case.heal is not None and case.lasts:
        case.heal(bench)
    bench.run(0.5)
    if stopped and bench.loop.state is State.ARMED:
        problems.append("the robot was armed again by itself")
    if case.latches and bench.loop.latched:
        accepted, sentence = bench.ask(Event.RESET)
        bench.run(0.3)
        if not accepted:
            problems.append(f"reset was refused when all was well again: {sentence}")
        if bench.loop.state is State.ARMED:
            problems.append("reset armed the robot")
    return problems
