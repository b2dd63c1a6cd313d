"""One driver on one task: episodes from seeds it never saw, over processes, resumable, with everything in one file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_stack.core import provenance
from robot_stack.core.config_json import to_plain
from robot_stack.core.driver import BatchDriver
from robot_stack.core.episode import EpisodeContext
from robot_stack.core.errors import ConfigError
from robot_stack.core.lock import FolderLock
from robot_stack.core.world import WorldMaker
from robot_stack.evaluation.config import EvaluationConfig
from robot_stack.evaluation.film import montage
from robot_stack.evaluation.journal import EpisodeJournal
from robot_stack.evaluation.results import (
    EpisodeRecord,
    EvaluationResult,
    Timing,
    load_result,
    milestone_funnel,
    save_result,
    success_rate,
    summary_of,
)
from robot_stack.evaluation.rollout_video import FilmRecorder, FilmReport
from robot_stack.evaluation.stopwatch import Stopwatch
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.loop import EpisodeSpec
from robot_stack.runtime.makers import describe_maker
from robot_stack.runtime.progress import Progress, ProgressListener, ignore_progress
from robot_stack.runtime.slots import DriverMaker, EpisodeJob, EpisodeOutcome

RESULT_FILE = "evaluation.json"
JOURNAL_FILE = "episodes.jsonl"
USUAL = EvaluationConfig()
_NOT_OF_AN_EPISODE = ("episodes", "confidence", "videos")
"""What may change when an evaluation goes on: more episodes, say."""


@dataclass(frozen=True)
class Subject:
    """Who is evaluated."""

    name: str
    """For people: ``"diffusion policy"``."""

    driver: BatchDriver | None = None
    """Decides in this process, in batches."""

    driver_maker: DriverMaker | None = None
    """Or: makes a driver beside each world (a scripted expert); must be picklable."""

    id: str = ""
    """Exactly who: a bundle's hash. An evaluation is only resumed for the same one."""

    def __post_init__(self) -> None:
        if (self.driver is None) == (self.driver_maker is None):
            raise ConfigError("an evaluation needs either a batch driver or a driver maker", where=self.name)


def evaluate(
    world: WorldMaker,
    subject: Subject,
    config: EvaluationConfig = USUAL,
    *,
    fleet: Fleet,
    folder: str | Path | None = None,
    progress: ProgressListener = ignore_progress,
) -> EvaluationResult:
    """Evaluate a driver.

    In ``folder`` each finished episode is kept at once (``episodes.jsonl``); a rerun with the same arguments, or with
    more episodes, goes on where the last one ended, and tries episodes again that broke off. ``evaluation.json`` holds
    the result, ``videos/`` the films.

    Args:
        world: makes robot and task; must be picklable when the fleet has processes.
        subject: who is evaluated.
        config: which episodes.
        fleet: where they run.
        folder: where results go; ``None`` keeps nothing and films nothing.
        progress: told after every episode.

    Raises:
        EvaluationMismatchError: if the folder holds an evaluation of something else.
        LockedError: if another process writes to the folder.
        FleetError: if too many episodes in a row fail.
    """
    with contextlib.ExitStack() as stack:
        if folder is not None:
            stack.enter_context(FolderLock(folder, what="evaluation"))
        evaluation = _Evaluation(world, subject, config, None if folder is None else Path(folder), progress)
        stack.callback(evaluation.close)
        return evaluation.run(fleet)


class _Evaluation:
    """One run of one evaluation."""

    def __init__(
        self,
        world: WorldMaker,
        subject: Subject,
        config: EvaluationConfig,
        folder: Path | None,
        progress: ProgressListener,
    ) -> None:
        self.world, self.subject, self.config, self.folder = world, subject, config, folder
        self.progress = progress
        self.header = {
            "subject": {"name": subject.name, "id": subject.id},
            "world": describe_maker(world),
            "episode": {k: v for k, v in to_plain(config).items() if k not in _NOT_OF_AN_EPISODE},
        }
        self.journal = None if folder is None else EpisodeJournal(folder / JOURNAL_FILE, self.header)
        self.records: dict[int, EpisodeRecord] = dict(self.journal.records) if self.journal else {}
        self.attempts: list[EpisodeRecord] = []
        self.latencies_s: list[float] = []
        self.context: EpisodeContext | None = None
        self.horizon = 0
        self.film_problems: dict[int, str] = {}

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()

    def run(self, fleet: Fleet) -> EvaluationResult:
        earlier = self._earlier_result()
        if earlier is not None:
            return earlier
        watch = None if self.subject.driver is None else Stopwatch(self.subject.driver)
        before = time.perf_counter()
        self._run_all(fleet, watch)
        wall_s = time.perf_counter() - before
        result = self._result(self._timing(watch, wall_s), fleet.config)
        if self.folder is not None:
            save_result(self.folder / RESULT_FILE, result)
        return result

    def _earlier_result(self) -> EvaluationResult | None:
        """The result on disk when nothing is left to do."""
        if self.folder is None or len(self._finished()) < self.config.episodes:
            return None
        path = self.folder / RESULT_FILE
        if not path.exists():
            return None
        result = load_result(path)
        return result if result.config == self.config and not result.errors else None

    def _finished(self) -> set[int]:
        return {i for i, r in self.records.items() if not r.error and i < self.config.episodes}

    def _run_all(self, fleet: Fleet, watch: Stopwatch | None) -> None:
        for outcome in fleet.run(self._jobs(), watch):
            self._keep(outcome)
        # a crash in a graphics driver takes the process along: films are not worth an episode
        again = [i for i, r in self.records.items() if r.error.startswith("WorkerDiedError") and self._filmed(i)]
        for index in again:
            self.film_problems[index] = self.records[index].error.splitlines()[0]
        for outcome in fleet.run((replace(self._job(i), recorder=None) for i in again), watch):
            self._keep(outcome)

    def _jobs(self) -> Iterator[EpisodeJob]:
        finished = self._finished()
        return (self._job(index) for index in range(self.config.episodes) if index not in finished)

    def _job(self, index: int) -> EpisodeJob:
        config = self.config
        spec = EpisodeSpec(
            seed=config.seed(index),
            history=1 if self.subject.driver is None else self.subject.driver.history,
            horizon=config.horizon,
            stop_on_success=config.stop_on_success,
            steps_after_success=config.steps_after_success,
            driver=self.subject.name,
        )
        recorder = None
        if self._filmed(index):
            recorder = FilmRecorder(str(self.folder / "videos" if self.folder else ""), config.videos)
        return EpisodeJob(index, spec, self.world, self.subject.driver_maker, recorder)

    def _filmed(self, index: int) -> bool:
        return self.folder is not None and index < self.config.videos.count

    def _keep(self, outcome: EpisodeOutcome) -> None:
        record = _record(outcome)
        if isinstance(outcome.recording, FilmReport):
            if outcome.recording.problem:
                self.film_problems[record.index] = outcome.recording.problem
            elif self.folder is not None:
                record = replace(record, video=str(Path(outcome.recording.path).relative_to(self.folder)))
        self.context, self.horizon = outcome.context or self.context, outcome.horizon or self.horizon
        self.records[record.index] = record
        self.attempts.append(record)
        self.latencies_s += outcome.latencies_s
        if self.journal is not None:
            self.journal.append(record)
        done = self._finished()
        self.progress(
            Progress(
                done=len(done),
                total=self.config.episodes,
                successes=sum(self.records[i].success for i in done),
                failures=sum(bool(r.error) for r in self.records.values()),
                attempts=len(self.attempts),
                message=record.error,
            )
        )

    def _timing(self, watch: Stopwatch | None, wall_s: float) -> Timing:
        steps = sum(r.steps for r in self.attempts)
        calls = self.latencies_s if watch is None else watch.calls_s
        decisions = len(calls) if watch is None else watch.decisions
        median, p99 = np.quantile(calls, (0.5, 0.99)) if calls else (0.0, 0.0)
        return Timing(
            episodes=len(self.attempts),
            wall_s=wall_s,
            env_steps=steps,
            env_steps_per_s=steps / wall_s,
            decisions=decisions,
            batch_mean=decisions / max(1, len(calls)),
            latency_median_s=float(median),
            latency_p99_s=float(p99),
        )

    def _result(self, timing: Timing, fleet: FleetConfig) -> EvaluationResult:
        episodes = tuple(self.records[i] for i in range(self.config.episodes))
        confidence = self.config.confidence
        if self.context is None or not self.horizon:
            self._look_at_a_new_world()
        context = self.context
        assert context is not None
        grid, problem = self._montage(episodes)
        return EvaluationResult(
            name=self.subject.name,
            driver_id=self.subject.id,
            task=context.task,
            instruction=context.instruction,
            embodiment=context.embodiment.name,
            embodiment_fingerprint=context.embodiment.fingerprint(),
            robot_fingerprint=context.embodiment.with_cameras(()).fingerprint(),
            horizon=self.horizon,
            config=self.config,
            world=self.header["world"],
            success=success_rate(episodes, confidence),
            milestones=milestone_funnel(episodes, confidence),
            steps_to_success=summary_of([e.success_step + 1 for e in episodes if e.success_step is not None]),
            total_reward=summary_of([e.total_reward for e in episodes if not e.error]),
            errors=sum(bool(e.error) for e in episodes),
            timing=timing,
            videos_missing=problem or self._missing_films(episodes),
            montage=grid,
            episodes=episodes,
            provenance={**provenance.collect(), "fleet": to_plain(fleet)},
        )

    def _look_at_a_new_world(self) -> None:
        """A resumed evaluation with nothing left to run has seen no world yet."""
        world = self.world()
        try:
            task = world.task
            self.context = EpisodeContext(world.robot.embodiment, task.name, task.instruction, 0, task.milestones)
            self.horizon = self.config.horizon or task.horizon
        finally:
            world.close()

    def _missing_films(self, episodes: tuple[EpisodeRecord, ...]) -> str:
        if self.folder is None:
            return "no folder for them" if self.config.videos.count else ""
        missing = [e for e in episodes if self._filmed(e.index) and not e.video]
        if not missing:
            return ""
        reasons = {self.film_problems.get(e.index) or e.error or "evaluated before without a film" for e in missing}
        return f"{len(missing)} of {min(len(episodes), self.config.videos.count)}: {'; '.join(sorted(reasons))}"

    def _montage(self, episodes: tuple[EpisodeRecord, ...]) -> tuple[str, str]:
        """Path of the grid relative to the folder, and why there is none."""
        films = [e.video for e in episodes if e.video]
        if self.folder is None or len(films) < 2 or not self.config.videos.montage_columns:
            return "", ""
        target = Path("videos") / "montage.mp4"
        try:
            paths = [self.folder / film for film in films]
            montage(paths, self.folder / target, columns=self.config.videos.montage_columns)
        except Exception as error:  # pictures never lose an evaluation
            return "", f"montage: {type(error).__name__}: {error}"
        return str(target), ""


def _record(outcome: EpisodeOutcome) -> EpisodeRecord:
    job, result = outcome.job, outcome.result
    if result is None:
        assert outcome.failure is not None
        error = outcome.failure.message
        return EpisodeRecord(job.index, job.spec.seed, False, "error", wall_s=outcome.wall_s, error=error)
    return EpisodeRecord(
        index=job.index,
        seed=result.seed,
        success=result.success,
        ending=result.ending,
        steps=result.steps,
        success_step=result.success_step,
        total_reward=result.total_reward,
        milestones=result.milestones,
        interventions=result.interventions,
        overruns=result.overruns,
        wall_s=outcome.wall_s,
    )
