"""What controllers and policies see at a tick, from what was measured and tracked; and what is missing for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import RobotState
from robot_stack.core.senses import Senses, Tracked
from robot_stack.hardware.chunk_buffer import to_ns
from robot_stack.hardware.loop_reports import Observed


def in_one_line(error: Exception) -> str:
    """What an error says."""
    text = error.message if isinstance(error, RobotStackError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


class Perception:
    """The robot's senses, with what is tracked for them.

    Args:
        senses: make states and observations.
        source: gives what is tracked, newest first; ``None`` while there is nothing new.
        timeout_s: what was tracked longer ago is stale [s].
    """

    def __init__(self, senses: Senses, source: Callable[[], Tracked | None], timeout_s: float) -> None:
        self._senses, self._source = senses, source
        self.timeout_s = timeout_s
        """What was tracked longer ago is stale [s]."""
        self._tracked: Tracked = {}
        self._tracked_s = -float("inf")
        self._tracked_is_finite = True
        self.state: RobotState | None = None
        """What controllers see at this tick; ``None`` where something is missing."""
        self.missing = ""
        """What is missing, in words."""
        self.stamp_ns: int | None = None
        """Of the observation of the last control tick [ns]; ``None`` where there was no new one."""

    def look(self, good: BusState | None, nominal_s: float, now_s: float) -> None:
        """A servo tick.

        Args:
            good: the robot's state; ``None`` while it is not known.
            nominal_s: the time that controllers count, which passes evenly however late a tick is [s].
            now_s: the time of the tick [s].
        """
        tracked = self._source()
        if tracked is not None:
            self._tracked, self._tracked_s = tracked, now_s
            self._tracked_is_finite = all(math.isfinite(float(np.abs(row).sum())) for row in tracked.values())
        self.state, self.missing = None, ""
        if good is None:
            return
        age_s = now_s - self._tracked_s
        if self._senses.tracked_fields and age_s > self.timeout_s:
            names = ", ".join(field.name for field in self._senses.tracked_fields)
            self.missing = f"{names}: not tracked {f'for {age_s:.2f} s' if self._tracked else 'yet'}"
            return
        if not self._tracked_is_finite:
            self.missing = "what is tracked is not finite"
            return
        try:
            self.state = self._senses.state(replace(good, time_s=nominal_s), self._tracked)
        except Exception as error:
            self.missing = f"no state can be made of what was measured and tracked: {in_one_line(error)}"

    def restart(self, good: BusState, nominal_s: float) -> RobotState:
        """The robot stands still as ``good`` says; estimates begin anew.

        Raises:
            Exception: whatever the senses raise.
        """
        bus = replace(good, time_s=nominal_s)
        self._senses.reset(bus, self._tracked)
        self.state = self._senses.state(bus, self._tracked)
        return self.state

    def observe(self, good: BusState | None) -> Observed | None:
        """A control tick: its observation; ``None`` where something is missing, or nothing new was measured."""
        before, self.stamp_ns = self.stamp_ns, None
        if good is None or self.state is None or to_ns(good.time_s) == before:
            return None
        try:
            vector = self._senses.vector(self.state, self._tracked)
        except Exception as error:
            self.missing = f"no observation can be made of what was measured and tracked: {in_one_line(error)}"
            return None
        if not np.isfinite(vector).all():
            self.missing = "what is tracked is not finite"
            return None
        self.stamp_ns = to_ns(good.time_s)
        return Observed(self.stamp_ns, vector, good)
