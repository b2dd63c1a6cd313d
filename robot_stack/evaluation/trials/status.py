"""What may be told while a study is blind: pooled figures and whether to go on; nothing by policy or label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Literal

from robot_stack.evaluation.intervals import Proportion, wilson
from robot_stack.evaluation.trials.state import TrialState

Advice = Literal["continue", "stop", "unblinded"]


@dataclass(frozen=True)
class BlindStatus:
    """How far a study is, over all policies together."""

    study: str
    """Its name."""

    advice: Advice
    """Whether further trials are wanted."""

    blocks_counted: int
    """Complete blocks that the stopping rule sees."""

    blocks_complete: int
    """All complete blocks; those ahead of an open one wait."""

    blocks_max: int
    """Of the plan."""

    labelled: int
    """Trials with a label."""

    success: Proportion
    """Over all policies."""

    first_half: Proportion
    """Over the first half of the labelled trials: drift shows as a difference from the second."""

    second_half: Proportion
    """Over the second half."""

    excluded: dict[str, int]
    """Excluded trials by reason."""

    expired: int
    """Trials whose station fell silent."""

    undone: int
    """Labels that were taken back."""

    emergency_stops: int
    """Trials that ended in one."""

    under_way: int
    """Trials that stations work on now."""

    stations: dict[str, str]
    """Station to evaluator."""

    label_latency_s: float | None
    """Median time from assignment to label [s]."""

    second_ratings: int
    """Trials that a second person judged."""

    rater_agreement: float | None
    """Share of those on whose success both agree."""

    deviations: tuple[str, ...]
    """In words."""

    commitment: str
    """To the key."""

    plan_sha256: str
    """Of the frozen plan."""


def blind_status(state: TrialState) -> BlindStatus:
    """The figures that no evaluator is biased by."""
    plan = state.required_plan
    trials = list(state.trials.values())
    judged = [t for t in trials if t.phase == "labelled" and t.judgement is not None]
    wins = [t.judgement.success for t in judged if t.judgement is not None]
    half = len(wins) // 2
    latencies = [t.labelled_s - t.assigned_s for t in judged if t.labelled_s is not None]
    agreements = [
        second.success == first.success
        for name, ratings in state.ratings.items()
        for _, second in ratings[-1:]
        if (first := state.trials[name].judgement) is not None
    ]
    done = state.over or state.exhausted()
    return BlindStatus(
        study=plan.name,
        advice="unblinded" if state.unblinded is not None else "stop" if done else "continue",
        blocks_counted=len(state.counted_blocks()),
        blocks_complete=sum(state.block_is_done(b) for b in range(plan.blocks)),
        blocks_max=plan.blocks,
        labelled=len(judged),
        success=wilson(sum(wins), len(wins)),
        first_half=wilson(sum(wins[:half]), half),
        second_half=wilson(sum(wins[half:]), len(wins) - half),
        excluded=dict(Counter(t.exclusion for t in trials if t.exclusion is not None)),
        expired=sum(t.phase == "expired" for t in trials),
        undone=sum(t.undone for t in trials),
        emergency_stops=sum(t.emergency for t in trials),
        under_way=sum(t.open for t in trials),
        stations=dict(state.stations),
        label_latency_s=median(latencies) if latencies else None,
        second_ratings=len(agreements),
        rater_agreement=sum(agreements) / len(agreements) if agreements else None,
        deviations=tuple(text for _, text in state.deviations),
        commitment=state.commitment,
        plan_sha256=state.plan_sha256,
    )
