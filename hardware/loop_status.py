"""How a robot's loop stands, as one record."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
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

    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=512))
    """From an observation to the arrival of a chunk computed from it, of the newest chunks [s]."""

    lates_s: deque[float] = field(default_factory=lambda: deque(maxlen=2048))
    """How late the newest ticks began [s]."""

    def late(self, late_s: float, period_s: float) -> None:
        """A tick began so late [s]."""
        self.worst_late_s = max(self.worst_late_s, late_s)
        self.overruns += late_s > period_s
        self.lates_s.append(late_s)


def _share_ms(values: deque[float], share: float) -> float:
    """The value below which a share of all lies [ms]; 0 where there are none."""
    ordered = sorted(values.copy())  # a copy is made at once; the loop goes on appending
    return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


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
        latency_ms=_share_ms(counts.latencies_s, 0.5),
        latency_p99_ms=_share_ms(counts.latencies_s, 0.99),
        late_ms=_share_ms(counts.lates_s, 0.5),
        late_p99_ms=_share_ms(counts.lates_s, 0.99),
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
        driver=chunks.driver or "",
        rivals=() if chunks.driver is None else chunks.drivers.others(chunks.driver, now_s),
        actions_trimmed=chunks.trimmed,
        states_out_of_order=loop.watch.out_of_order,
    )
