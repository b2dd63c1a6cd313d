"""What a robot's loop tells the rest of its process: plain records, handed over without waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.joint_bus import BusState
from robot_stack.hardware.state_machine import Event, State


@dataclass(frozen=True, eq=False)
class Observed:
    """An observation, once a control tick."""

    stamp_ns: int
    """When the robot's state was received, on the robot's clock [ns]."""

    vector: np.ndarray
    """The state vector, shape ``(state_size,)``."""

    bus: BusState
    """What the joints said."""


@dataclass(frozen=True, eq=False)
class Acted:
    """What was done at a control tick in ``ARMED``, told when the next one begins."""

    stamp_ns: int
    """Of the observation of that tick [ns]."""

    asked: np.ndarray | None
    """The action that applied, shape ``(action_size,)``; ``None`` when the driver had none."""

    sent: np.ndarray
    """The action that was followed, likewise."""

    interventions: tuple[Intervention, ...]
    """Why it differs, and what the safety filter changed of the joints' commands; each reason once."""


@dataclass(frozen=True)
class Changed:
    """The state changed."""

    state: State
    """From now on."""

    before: State
    """Until now."""

    sentence: str
    """What led to it."""

    time_s: float
    """When, on the robot's clock [s]."""


Report = Observed | Acted | Changed
"""Anything the loop tells."""

Outbox = Callable[[Report], None]
"""Takes reports from the loop's thread; returns at once and never raises."""


class Request:
    """An operator's request on its way through the loop.

    Args:
        event: what is asked for.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.accepted = False
        """Whether it was obeyed; known when :meth:`wait` returned True."""
        self.sentence = "no answer from the robot's loop"
        """The answer for a person."""
        self._done = threading.Event()

    def answer(self, accepted: bool, sentence: str) -> None:
        """The loop has decided."""
        self.accepted, self.sentence = accepted, sentence
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether it was answered within so many real seconds."""
        return self._done.wait(timeout_s)


@dataclass(frozen=True)
class LoopStatus:
    """How a robot's loop stands: a snapshot for status tables and diagnostics."""

    state: str = State.UNCONFIGURED.value
    """Of the state machine."""

    time_s: float = 0.0
    """Of the snapshot, on the robot's clock [s]."""

    ticks: int = 0
    """Servo ticks since the robot was engaged."""

    overruns: int = 0
    """Ticks that began later than the one after them was due."""

    worst_late_ms: float = 0.0
    """Latest begin of a tick [ms]."""

    state_age_ms: float = 0.0
    """Age of the robot's state at the last tick [ms]."""

    latency_ms: float = 0.0
    """From an observation to the arrival of the actions computed from it, median of the newest chunks [ms]."""

    latency_p99_ms: float = 0.0
    """Likewise, all but one in a hundred."""

    late_ms: float = 0.0
    """How long after their deadlines the newest ticks began, median [ms]."""

    late_p99_ms: float = 0.0
    """Likewise, all but one in a hundred."""

    plan_left_ms: float = 0.0
    """How long the driver's actions still last [ms]."""

    deadman: bool = False
    """Held now."""

    estop_pressed: bool = False
    """An emergency stop button is down."""

    faults: Mapping[str, str] = field(default_factory=dict)
    """What is wrong now."""

    latched: str = ""
    """What was wrong since the last reset."""

    missing: str = ""
    """What controllers and policies lack to see the robot whole, in words."""

    warnings: tuple[str, ...] = ()
    """By the robot's own account."""

    readings: Mapping[str, float] = field(default_factory=dict)
    """By the robot's own account."""

    last_intervention: str = ""
    """What the safety filter or the controller changed last, and when."""

    interventions: int = 0
    """Control ticks with one."""

    chunks_accepted: int = 0
    """Action chunks taken."""

    chunks_refused: Mapping[str, int] = field(default_factory=dict)
    """Action chunks refused, by reason."""

    last_refusal: str = ""
    """Why the last refused chunk was."""

    driver: str = ""
    """Whose actions are followed since the robot was armed; empty before the first."""

    rivals: tuple[str, ...] = ()
    """Others who sent actions lately."""

    actions_trimmed: int = 0
    """Actions that came too late within chunks that were taken."""

    states_out_of_order: int = 0
    """States of the robot that were older than one before."""
