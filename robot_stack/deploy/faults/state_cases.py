"""What robots say wrong of themselves, and what perception does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.senses import Tracked
from robot_stack.deploy.faults.bench import BENCH_ROBOTS, Bench
from robot_stack.deploy.faults.case import GOES_ON, STOPS, FaultCase, Inject
from robot_stack.hardware.loop_config import LoopConfig

_TIMEOUT_S = LoopConfig(control_hz=50.0).state_timeout_s
_TRACKED_S = LoopConfig(control_hz=50.0).tracked_timeout_s
LEGGED = ("g1", "locoman")
"""Robots with an inertial sensor."""


def _harm(change: Callable[[BusState], BusState | None]) -> Inject:
    def inject(bench: Bench) -> None:
        bench.bus.harm = change

    return inject


def _heal(bench: Bench) -> None:
    bench.bus.harm, bench.spoil_tracked = None, None
    bench.bus.deaf = bench.bus.mute = False


def _frozen(*, fresh: bool) -> Inject:
    """The state of this moment for ever; with ``fresh`` under receive times that go on."""

    def inject(bench: Bench) -> None:
        kept = bench.true_state()

        def harm(state: BusState) -> BusState:
            return replace(kept, time_s=state.time_s) if fresh else kept

        bench.bus.harm = harm

    return inject


def _drop(every: int) -> Inject:
    def inject(bench: Bench) -> None:
        count = [0]

        def harm(state: BusState) -> BusState | None:
            count[0] += 1
            return state if count[0] % every == 0 else None

        bench.bus.harm = harm

    return inject


def _out_of_order(bench: Bench) -> None:
    """Every other state is the one from three before."""
    kept: list[BusState] = []

    def harm(state: BusState) -> BusState:
        kept.append(state)
        return kept[-4] if len(kept) > 4 and len(kept) % 2 else state

    bench.bus.harm = harm


def _joint(value: float, *, add: bool) -> Inject:
    def harm(state: BusState) -> BusState:
        position = state.joint_position.copy()
        position[0] = position[0] + value if add else value
        return replace(state, joint_position=position)

    return _harm(harm)


def _imu(change: Callable[[np.ndarray], np.ndarray]) -> Inject:
    def harm(state: BusState) -> BusState:
        assert state.q_world_base is not None
        return replace(state, q_world_base=change(state.q_world_base))

    return _harm(harm)


def _clock_jump(seconds: float) -> Inject:
    return _harm(lambda state: replace(state, time_s=state.time_s + seconds))


def _faulty(sentence: str) -> Inject:
    return _harm(lambda state: replace(state, faults=(sentence,)))


def _restarted(bench: Bench) -> None:
    begin = bench.true_state().sequence
    bench.bus.harm = lambda state: replace(state, sequence=state.sequence - begin)


def _line(name: str) -> Inject:
    def inject(bench: Bench) -> None:
        setattr(bench.bus, name, True)

    return inject


def _tracked(change: Callable[[Tracked], Tracked | None]) -> Inject:
    def inject(bench: Bench) -> None:
        bench.spoil_tracked = change

    return inject


def _stop(
    name: str,
    inject: Inject,
    shows: str,
    bound_s: float = 0.0,
    *,
    robots: tuple[str, ...] = tuple(BENCH_ROBOTS),
    lasts: bool = True,
    refuses_reset: bool = True,
) -> FaultCase:
    return FaultCase(
        "observation",
        name,
        inject,
        "stops, latched",
        STOPS,
        bound_s=bound_s,
        shows=shows,
        latches=True,
        heal=_heal,
        robots=robots,
        lasts=lasts,
        refuses_reset=refuses_reset,
    )


STATE_CASES: tuple[FaultCase, ...] = (
    FaultCase("observation", "every second state is lost", _drop(2), "goes on", GOES_ON, heal=_heal),
    _stop("every state is lost", _drop(10**9), "stale_state", _TIMEOUT_S + 0.06),
    _stop("a frozen state", _frozen(fresh=False), "stale_state", _TIMEOUT_S + 0.06),
    _stop("a frozen count under fresh receive times", _frozen(fresh=True), "stale_state", _TIMEOUT_S + 0.06),
    FaultCase("observation", "old states between new ones", _out_of_order, "the old are ignored", GOES_ON, heal=_heal),
    _stop("the robot counts from the start again", _restarted, "from the start", _TIMEOUT_S + 0.06, lasts=False),
    _stop("NaN in a joint's position", _joint(np.nan, add=False), "bad_state"),
    _stop("an encoder jumps by a whole turn", _joint(2 * np.pi, add=True), "jumped"),
    _stop("receive times in the future", _clock_jump(5.0), "stale_state", _TIMEOUT_S + 0.06),
    _stop("receive times in the past", _clock_jump(-5.0), "stale_state", _TIMEOUT_S + 0.06),
    _stop("NaN in the quaternion", _imu(lambda q: np.full(4, np.nan)), "quaternion", robots=LEGGED),
    _stop("a quaternion of zeros", _imu(np.zeros_like), "quaternion", robots=LEGGED),
    _stop("a motor reports over-temperature", _faulty("motor 3 is at 121 °C"), "121"),
    _stop("a motor reports an error", _faulty("motor 3: error 0x20"), "0x20"),
    _stop("the line breaks while reading", _line("deaf"), "could not be read"),
    _stop("the line breaks while writing", _line("mute"), "could not be written"),
    _stop(
        "nothing is tracked any more",
        _tracked(lambda tracked: None),
        "not tracked",
        _TRACKED_S + 0.06,
        refuses_reset=False,
    ),
    _stop(
        "NaN in what is tracked",
        _tracked(lambda tracked: {name: np.full_like(values, np.nan) for name, values in tracked.items()}),
        "tracked",
        refuses_reset=False,
    ),
)
"""Faults of robots and trackers."""
