"""How a robot's loop stands, as one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from robot_stack.hardware.loop_reports import LoopStatus


@dataclass
class LoopCounts:
    """Counted by a robot's loop since the robot was engaged."""

    ticks: int = 0
    """Servo ticks."""

    overruns: int = 0
    """Ticks that began later than the one after them was due."""

    worst_late_s: float = 0.0
    """Latest begin of a tick [s]."""

    latency_s: float = 0.0
    """From an observation to the arrival of the last chunk computed from it [s]."""

    def late(self, late_s: float, period_s: float) -> None:
        """A tick began so late [s]."""
        self.worst_late_s = max(self.worst_late_s, late_s)
        self.overruns += late_s > period_s


def snapshot(loop: Any, now_s: float) -> LoopStatus:
    """How a loop stands; called from another thread it mixes two ticks at worst.

    Args:
        loop: a :class:`~robot_stack.hardware.robot_loop.RobotLoop`, which imports this module.
        now_s: the time on its clock [s].
    """
    good, driving, chunks, counts = loop.watch.good, loop.driving, loop.chunks, loop.counts
    refusal = chunks.last_refusal
    return LoopStatus(
        state=loop.state.value,
        time_s=now_s,
        ticks=counts.ticks,
        overruns=counts.overruns,
        worst_late_ms=1e3 * counts.worst_late_s,
        state_age_ms=-1.0 if good is None else 1e3 * max(0.0, now_s - good.time_s),
        latency_ms=1e3 * counts.latency_s,
        plan_left_ms=1e3 * chunks.left_s(now_s),
        deadman=loop.deadman_held(now_s),
        estop_pressed=loop.inputs.estop_pressed,
        faults=dict(loop.faults),
        latched=loop.latched,
        missing=loop.perception.missing,
        warnings=() if good is None else good.warnings,
        readings={} if good is None else dict(good.readings),
        last_intervention="" if driving is None else driving.last_intervention,
        interventions=0 if driving is None else driving.intervened,
        chunks_accepted=chunks.accepted,
        chunks_refused=chunks.refused,
        last_refusal="" if refusal is None else f"{refusal.reason}: {refusal.detail}",
        actions_trimmed=chunks.trimmed,
        states_out_of_order=loop.watch.out_of_order,
    )
