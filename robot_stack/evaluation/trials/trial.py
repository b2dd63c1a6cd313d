"""One trial: one policy in one place of one block, from its assignment to its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["assigned", "confirmed", "running", "stopped", "labelled", "excluded", "expired"]
"""How far a trial is. ``labelled``, ``excluded`` and ``expired`` end it; a label can be taken back until locked."""

StopCause = Literal["evaluator", "time limit", "emergency stop", "episode ended", "station lost", "robot error"]
"""Why a robot came to rest."""

OPEN_PHASES: tuple[Phase, ...] = ("assigned", "confirmed", "running", "stopped")
"""Phases in which a station works on the trial."""


@dataclass(frozen=True)
class Judgement:
    """What somebody saw."""

    success: bool
    """The trial counts as a success."""

    milestones: tuple[bool, ...] = ()
    """For each milestone of the plan's rubric whether it was reached."""

    failure_tags: tuple[str, ...] = ()
    """Of the plan's rubric."""

    notes: str = ""
    """In words."""

    @property
    def completion(self) -> float:
        """Task completion in [0, 1]: the share of milestones reached, success counted as the last one."""
        parts = (*self.milestones, self.success)
        return sum(parts) / len(parts)


@dataclass
class Trial:
    """What the log says of one trial; changed by the fold only."""

    id: str
    """``T0001`` and so on, in the order of assignment."""

    label: str
    """Opaque, drawn anew for each trial; what the evaluator sees."""

    block: int
    """Counts from 0."""

    place: int
    """Within the block, from 0."""

    attempt: int
    """0 for the first trial in this place, more for re-runs."""

    station: str
    """Where it is run."""

    evaluator: str
    """Who judges."""

    order: int
    """How many trials were assigned before it."""

    phase: Phase = "assigned"
    """How far it is."""

    assigned_s: float = 0.0
    """Wall clock, seconds since 1970 UTC."""

    labelled_s: float | None = None
    """Wall clock of the label that stands."""

    duration_s: float | None = None
    """From start to stop [s]."""

    stop_cause: StopCause | None = None
    """Why the robot came to rest."""

    emergency: bool = False
    """An emergency stop was pressed."""

    steps: int | None = None
    """Control steps taken, in simulation."""

    judgement: Judgement | None = None
    """The evaluator's, while it stands."""

    exclusion: str | None = None
    """The reason, from the plan's list."""

    video: str = ""
    """File in the store's ``videos`` folder; empty: none."""

    video_sha256: str = ""
    """Of its bytes."""

    undone: int = 0
    """Labels that were taken back."""

    locked: bool = False
    """The label can no longer be taken back."""

    @property
    def open(self) -> bool:
        """Whether a station works on it."""
        return self.phase in OPEN_PHASES
