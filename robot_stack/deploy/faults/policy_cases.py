"""What policies do wrong: numbers, sizes, names, times, silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot_stack.deploy.faults.bench import Bench
from robot_stack.deploy.faults.case import GOES_ON, STILL, FaultCase, Inject
from robot_stack.hardware.chunk_buffer import ChunkConfig, StampedChunk
from robot_stack.hardware.state_machine import Event

SECOND_OFFSET = 1e4
"""A second policy's actions are off the first one's by so much, to be told apart."""

TIME_TO_LIVE_S = ChunkConfig().time_to_live_s
"""How long the last action stays in force [s]."""


def _spoil(change: Callable[[StampedChunk], StampedChunk | None]) -> Inject:
    def inject(bench: Bench) -> None:
        bench.driver.spoil = change

    return inject


def _heal(bench: Bench) -> None:
    bench.driver.spoil, bench.driver.running = None, True


def _actions(change: Callable[[np.ndarray], None]) -> Inject:
    def spoil(chunk: StampedChunk) -> StampedChunk:
        actions = chunk.actions.copy()
        change(actions)
        return replace(chunk, actions=actions)

    return _spoil(spoil)


def _set(value: float) -> Callable[[np.ndarray], None]:
    def change(actions: np.ndarray) -> None:
        actions[len(actions) // 2, 0] = value

    return change


def _fill(value: float) -> Callable[[np.ndarray], None]:
    def change(actions: np.ndarray) -> None:
        actions[:] = value

    return change


def _kick(actions: np.ndarray) -> None:
    actions[::2] += 2.0
    actions[1::2] -= 2.0


def _silence(bench: Bench) -> None:
    bench.driver.running = False


def _stall(seconds: float) -> Inject:
    def inject(bench: Bench) -> None:
        until = bench.clock.now() + seconds
        bench.driver.spoil = lambda chunk: None if bench.clock.now() < until else chunk

    return inject


def _freeze(bench: Bench) -> None:
    """A process that is stopped, then goes on: what it sends then is what it had computed long before."""
    held: list[StampedChunk] = []
    until = bench.clock.now() + 1.2

    def spoil(chunk: StampedChunk) -> StampedChunk | None:
        held.append(chunk)
        return None if bench.clock.now() < until else held[0]

    bench.driver.spoil = spoil


def _replay(bench: Bench) -> None:
    """One chunk again and again."""
    kept: list[StampedChunk] = []

    def spoil(chunk: StampedChunk) -> StampedChunk:
        kept.append(chunk)
        return kept[0]

    bench.driver.spoil = spoil


def _late(seconds: float) -> Inject:
    def inject(bench: Bench) -> None:
        bench.driver.latency_s = seconds

    return inject


def _second(bench: Bench) -> None:
    """Another policy joins in, faster than the first, and wants to go elsewhere."""
    bench.second.running, bench.second.latency_s, bench.second.every = True, 0.0, 1
    bench.second.spoil = lambda chunk: replace(chunk, actions=chunk.actions + SECOND_OFFSET)


def _takeover(bench: Bench) -> None:
    """The policy dies, and another is there at once: a process that was started again, or somebody else's."""
    _second(bench)
    bench.driver.running = False


def _both_before_arming(bench: Bench) -> None:
    bench.ask(Event.HOLD)
    _second(bench)
    bench.run(0.2)
    bench.ask(Event.ARM)


def _heal_second(bench: Bench) -> None:
    bench.second.running, bench.driver.running = False, True


def _follows_the_first(bench: Bench) -> list[str]:
    """No action of the second reached the controller."""
    wrong = bench.loop.chunks.driver not in (None, "policy")
    moved = [a for a in bench.acted if a.asked is not None and a.asked.max() > 0.5 * SECOND_OFFSET]
    return ["the second policy was followed"] * bool(wrong or moved)


def _refused(name: str, change: Callable[[StampedChunk], StampedChunk | None], shows: str) -> FaultCase:
    return FaultCase(
        "policy",
        name,
        _spoil(change),
        "refused; the plan runs out, then it rests",
        states=GOES_ON,
        bound_s=TIME_TO_LIVE_S + 0.06,
        resting=True,
        shows=shows,
        heal=_heal,
    )


def _non_finite(name: str, value: float) -> FaultCase:
    return replace(_refused(name, lambda chunk: chunk, "non_finite"), inject=_actions(_set(value)))


POLICY_CASES: tuple[FaultCase, ...] = (
    _non_finite("NaN in one number of an action", np.nan),
    _non_finite("infinity in one number of an action", -np.inf),
    FaultCase("policy", "denormal numbers", _actions(_set(5e-324)), "followed", states=GOES_ON, heal=_heal),
    _refused("an action too short", lambda c: replace(c, actions=c.actions[:, :-1]), "wrong_size"),
    _refused("numbers in another order", lambda c: replace(c, names=c.names[::-1]), "wrong_names"),
    _refused("made for another robot", lambda c: replace(c, fingerprint="0" * 64), "wrong_robot"),
    _refused("times that go back", lambda c: replace(c, offsets_s=c.offsets_s[::-1].copy()), "bad_times"),
    _refused("an observation nobody made", lambda c: replace(c, stamp_ns=c.stamp_ns + 1), "unknown_observation"),
    _refused("from the future", lambda c: replace(c, stamp_ns=c.stamp_ns + 10**10), "unknown_observation"),
    FaultCase("policy", "a huge step, back and forth", _actions(_kick), "slowed to the limits", GOES_ON, heal=_heal),
    FaultCase("policy", "constant 1e6", _actions(_fill(1e6)), "slowed to the limits", GOES_ON, heal=_heal),
    FaultCase("policy", "stalls for 20 ms", _stall(0.02), "the plan goes on", GOES_ON, watch_s=1.0),
    FaultCase("policy", "stalls for 100 ms", _stall(0.1), "the plan goes on", GOES_ON, watch_s=1.0),
    FaultCase(
        "policy",
        "stalls for 1000 ms",
        _stall(1.0),
        "rests when the plan is at its end, goes on afterwards",
        GOES_ON,
        watch_s=2.0,
    ),
    FaultCase(
        "policy",
        "silent for ever (killed, endless loop)",
        _silence,
        "rests when the plan is at its end",
        GOES_ON,
        bound_s=TIME_TO_LIVE_S + 0.06,
        resting=True,
        shows="stale_command",
        heal=_heal,
    ),
    FaultCase(
        "policy",
        "silent for ever: nobody drives",
        _silence,
        "goes back to HOLD",
        STILL,
        bound_s=0.4 + TIME_TO_LIVE_S + 2.2,
        shows="driver_lost",
        heal=_heal,
        watch_s=3.5,
    ),
    FaultCase(
        "policy",
        "stopped for 1.2 s, then sends its old chunk",
        _freeze,
        "the old chunk is refused, never replayed",
        GOES_ON,
        bound_s=TIME_TO_LIVE_S + 0.06,
        resting=True,
        shows="too_old",
        heal=_heal,
        watch_s=1.9,
    ),
    FaultCase(
        "policy",
        "one chunk again and again",
        _replay,
        "past actions are trimmed, then refused",
        GOES_ON,
        bound_s=TIME_TO_LIVE_S + 0.06,
        resting=True,
        shows="all_past",
        heal=_heal,
    ),
    FaultCase(
        "policy",
        "a second policy sends as well, faster",
        _second,
        "refused, counted, named; the first goes on",
        GOES_ON,
        shows="second policy sends as well",
        heal=_heal_second,
        check=_follows_the_first,
    ),
    FaultCase(
        "policy",
        "silent for ever, and a second policy sends",
        _takeover,
        "the second is refused; goes back to HOLD",
        STILL,
        bound_s=0.4 + TIME_TO_LIVE_S + 2.2,
        shows="another_driver",
        heal=_heal_second,
        watch_s=3.5,
        check=_follows_the_first,
    ),
    FaultCase(
        "policy",
        "two policies send, and it is to be armed",
        _both_before_arming,
        "not armed; says who",
        STILL,
        heal=_heal_second,
        check=lambda bench: [] if "2 drivers" in bench.answer else [f"the answer was {bench.answer!r}"],
    ),
    FaultCase("policy", "answers 200 ms late", _late(0.2), "late actions are trimmed", GOES_ON, heal=_late(0.04)),
    FaultCase(
        "policy",
        "answers 1.5 s late",
        _late(1.5),
        "refused; rests",
        GOES_ON,
        bound_s=TIME_TO_LIVE_S + 0.06,
        resting=True,
        shows="too_old",
        heal=_late(0.04),
        watch_s=1.9,
    ),
)
"""Faults of the policy."""
