"""What an evaluation found: every episode, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robot_stack.core.atomic import write_json
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.evaluation.config import EvaluationConfig
from robot_stack.evaluation.intervals import Proportion, wilson

FORMAT = "robot_stack.evaluation/1"


class ResultFileError(RobotStackError):
    """An evaluation file is missing, damaged or foreign."""


@dataclass(frozen=True)
class EpisodeRecord:
    """One evaluated episode."""

    index: int
    """Number within the evaluation."""

    seed: int
    """Of the start and of the driver's random choices."""

    success: bool
    """The goal was reached; an episode that broke off with an error counts as a failure."""

    ending: str
    """``"success"``, ``"horizon"``, ``"terminated"``, ``"stopped"`` or ``"error"``."""

    steps: int = 0
    """Control steps taken."""

    success_step: int | None = None
    """The first step after which the goal was reached, from 0."""

    total_reward: float = 0.0
    """Sum of the steps' rewards."""

    milestones: dict[str, int | None] = field(default_factory=dict)
    """For each milestone the first step after which it held."""

    interventions: int = 0
    """Steps at which something else was sent than asked for."""

    overruns: int = 0
    """Control deadlines that were missed."""

    wall_s: float = 0.0
    """From start to end, waiting for decisions included [s]."""

    video: str = ""
    """Film of it, relative to the evaluation's folder; empty when there is none."""

    error: str = ""
    """Why it broke off; empty when it did not."""


@dataclass(frozen=True)
class Summary:
    """Numbers in short."""

    count: int
    mean: float
    std: float
    """Standard deviation of the sample (``n - 1``); 0 for a single number."""
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class MilestoneRate:
    """How often a milestone was reached."""

    name: str
    """The task's name for it."""

    reached: Proportion
    """Episodes in which it held at some step."""

    median_step: float | None = None
    """Median of the first steps after which it held; ``None`` when it never did."""


@dataclass(frozen=True)
class Timing:
    """How long it took; only episodes run in the last run count."""

    episodes: int = 0
    """Episodes of that run."""

    wall_s: float = 0.0
    """Of that run [s]."""

    env_steps: int = 0
    """Control steps simulated."""

    env_steps_per_s: float = 0.0
    """Over the whole run, inference included [1/s]."""

    decisions: int = 0
    """Times a driver decided for an episode."""

    batch_mean: float = 0.0
    """Episodes answered in one call of the driver, on average."""

    latency_median_s: float = 0.0
    """Of one call of the driver, whatever its batch [s]."""

    latency_p99_s: float = 0.0
    """99th percentile of the same [s]."""


@dataclass(frozen=True)
class EvaluationResult:
    """Everything about one evaluation of one driver on one task."""

    name: str
    """Who was evaluated, for people: ``"diffusion policy"``."""

    driver_id: str
    """Who was evaluated, exactly: a bundle's hash."""

    task: str
    """The task's name."""

    instruction: str
    """The task in words."""

    embodiment: str
    """The robot's name."""

    embodiment_fingerprint: str
    """The robot's fingerprint."""

    robot_fingerprint: str
    """The same without cameras: equal for a driver that looks and one that does not."""

    horizon: int
    """Control steps that an episode was allowed."""

    config: EvaluationConfig
    """Which episodes."""

    world: dict[str, Any]
    """What made the world, as plain data."""

    success: Proportion
    """Success rate with Wilson's interval."""

    milestones: tuple[MilestoneRate, ...]
    """The funnel, in the task's order."""

    steps_to_success: Summary | None
    """Steps taken by the episodes that succeeded; ``None`` when none did."""

    total_reward: Summary | None
    """Over episodes without an error."""

    errors: int
    """Episodes that broke off; they count as failures, and a rerun tries them again."""

    timing: Timing
    """Rates and latencies."""

    videos_missing: str
    """Why films that were wanted are not there; empty when all are."""

    montage: str
    """Film of all films in a grid, relative to the folder; empty when there is none."""

    episodes: tuple[EpisodeRecord, ...]
    """Every episode, in order."""

    provenance: dict[str, Any]
    """Code revision, libraries, machine class, time."""

    format: Literal["robot_stack.evaluation/1"] = FORMAT
    """Of the file."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the episodes, in order."""
        return tuple(e.seed for e in self.episodes)


def success_rate(episodes: Sequence[EpisodeRecord], confidence: float) -> Proportion:
    """Success rate with Wilson's interval."""
    return wilson(sum(e.success for e in episodes), len(episodes), confidence)


def milestone_funnel(episodes: Sequence[EpisodeRecord], confidence: float) -> tuple[MilestoneRate, ...]:
    """How often each milestone was reached, in the task's order."""
    names = dict.fromkeys(name for e in episodes for name in e.milestones)
    out = []
    for name in names:
        steps = [s for e in episodes if (s := e.milestones.get(name)) is not None]
        median = float(np.median(steps)) if steps else None
        out.append(MilestoneRate(name, wilson(len(steps), len(episodes), confidence), median))
    return tuple(out)


def summary_of(values: Sequence[float]) -> Summary | None:
    """Mean, spread and quantiles; ``None`` of nothing."""
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    std = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    extremes = float(array.min()), float(np.median(array)), float(array.max())
    return Summary(len(array), float(array.mean()), std, *extremes)


def save_result(path: str | Path, result: EvaluationResult) -> None:
    """Write an evaluation as JSON, atomically."""
    write_json(path, to_plain(result))


def load_result(path: str | Path) -> EvaluationResult:
    """Read what :func:`save_result` wrote.

    Raises:
        ResultFileError: if the file is missing, damaged or foreign.
    """
    try:
        plain = json.loads(Path(path).read_text())
        return from_plain(EvaluationResult, plain, where=str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise ResultFileError(
            "this is not a readable evaluation",
            where=path,
            got=f"{type(error).__name__}: {error}",
            expected=f"a file of format {FORMAT!r} written by an evaluation",
        ) from error
