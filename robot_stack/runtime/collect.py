"""Demonstrations on demand: episodes run wherever they run, and are written in the order of their seeds.

Episode ``i`` has the seed ``episode_seed(split, i, stream=...)``. Because they are written in that order, and because
an episode depends on its seed only, the dataset is the same whatever the number of processes, and a collection that
was killed goes on from the seed after the last one written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from robot_stack import __version__
from robot_stack.core.driver import BatchDriver
from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.core.provenance import code_revision
from robot_stack.core.seeding import Split, episode_seed
from robot_stack.core.world import World, WorldMaker
from robot_stack.runtime.fleet import Fleet
from robot_stack.runtime.loop import EpisodeSpec
from robot_stack.runtime.makers import describe_maker
from robot_stack.runtime.progress import Progress, ProgressListener, ignore_progress
from robot_stack.runtime.slots import DriverMaker, EpisodeJob, EpisodeOutcome, Recorder


class TooFewEpisodesError(RobotStackError):
    """The cap on attempts was reached before enough episodes were worth keeping."""


class EpisodeSink(Protocol):
    """Where episodes are written, one after the other."""

    def written(self) -> Sequence[Mapping[str, Any]]:
        """The provenance of every episode that is there already, in order."""
        ...

    def make_recorder(self, world: World, job: EpisodeJob) -> Recorder:
        """Makes what records one episode, in the process where it runs; must be picklable (a static method, say)."""
        ...

    def write(self, recording: Any, provenance: dict[str, Any]) -> None:
        """Append one episode; durable when this returns."""
        ...


@dataclass(frozen=True)
class CollectConfig:
    """Which episodes to collect."""

    episodes: int = 50
    """How many to have in the end, those of earlier runs included."""

    only_successes: bool = True
    """Keep only episodes that reached the goal."""

    max_attempts: int | None = None
    """Give up after so many episodes, kept or not; ``None``: ten for each one wanted."""

    split: Split = "collect"
    """Whose seeds."""

    stream: int = 0
    """Which of the split's streams, below 100."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's."""

    stop_on_success: bool = True
    """End an episode once the goal is reached."""

    steps_after_success: int = 0
    """So many more steps once the goal is reached, so that the demonstration shows it reached."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.steps_after_success < 0 or (self.max_attempts or 1) < 1:
            raise ConfigError("a collection needs at least one episode and one attempt", got=self)

    @property
    def attempts_allowed(self) -> int:
        """The cap on attempts."""
        return 10 * self.episodes if self.max_attempts is None else self.max_attempts

    def seed(self, index: int) -> int:
        """The seed of attempt ``index``."""
        return episode_seed(self.split, index, stream=self.stream)


@dataclass(frozen=True)
class Demonstrator:
    """Who shows how it is done."""

    name: str
    """For provenance: ``"expert"``."""

    driver_maker: DriverMaker | None = None
    """Makes a driver beside each world (a scripted expert); must be picklable."""

    driver: BatchDriver | None = None
    """Or: decides in this process, in batches (a policy)."""

    def __post_init__(self) -> None:
        if (self.driver is None) == (self.driver_maker is None):
            raise ConfigError("a collection needs either a driver maker or a batch driver", where=self.name)


@dataclass(frozen=True)
class Collected:
    """What a collection did."""

    episodes: int
    """There now, those of earlier runs included."""

    written: int
    """Written in this run."""

    attempts: int
    """Seeds tried, those of earlier runs included."""

    discarded: int
    """Tried in this run and not kept because they did not succeed."""

    failures: tuple[str, ...]
    """Errors of this run's episodes that broke off, one line each."""


def collect(
    world: WorldMaker,
    demonstrator: Demonstrator,
    sink: EpisodeSink,
    config: CollectConfig,
    *,
    fleet: Fleet,
    progress: ProgressListener = ignore_progress,
) -> Collected:
    """Run episodes until enough are written.

    Args:
        world: makes robot and task; must be picklable when the fleet has processes.
        demonstrator: who decides.
        sink: where the episodes go; those of this collection that are there already are not made again.
        config: which and how many.
        fleet: where they run.
        progress: told after every attempt, in seed order.

    Raises:
        TooFewEpisodesError: if the cap on attempts is reached first; what was written stays.
        FleetError: if too many episodes in a row fail.
        ConfigError: if the episodes in the sink are not the beginning of this collection.
    """
    return _Collection(world, demonstrator, sink, config, progress).run(fleet)


class _Collection:
    """One run of one collection."""

    def __init__(
        self,
        world: WorldMaker,
        demonstrator: Demonstrator,
        sink: EpisodeSink,
        config: CollectConfig,
        progress: ProgressListener,
    ) -> None:
        self.world, self.demonstrator, self.sink, self.config = world, demonstrator, sink, config
        self.progress = progress
        self.about = {
            "collection": {
                "world": describe_maker(world),
                "driver": demonstrator.name,
                "driver_maker": describe_maker(demonstrator.driver_maker) if demonstrator.driver_maker else None,
                "split": config.split,
                "stream": config.stream,
            },
        }
        self.code = {"robot_stack": __version__, **code_revision()}
        earlier = [p for p in sink.written() if p.get("collection") == self.about["collection"]]
        self.episodes = len(earlier)
        self.next_index = self._index_after(earlier)
        self.written = self.discarded = 0
        self.failures: list[str] = []

    def _index_after(self, earlier: Sequence[Mapping[str, Any]]) -> int:
        """The attempt that follows those written before."""
        indices = [int(p["seed"]) - self.config.seed(0) for p in earlier]
        if indices != sorted(set(indices)):
            raise ConfigError(
                "the episodes there are not in the order of their seeds, so this collection cannot be resumed",
                got=[int(p["seed"]) for p in earlier][:20],
                remedy="collect into another dataset, or with another stream",
            )
        return indices[-1] + 1 if indices else 0

    def run(self, fleet: Fleet) -> Collected:
        if self.episodes < self.config.episodes:
            early: dict[int, EpisodeOutcome] = {}
            run = fleet.run(self._jobs(), self.demonstrator.driver)
            try:
                for outcome in run:
                    early[outcome.job.index] = outcome
                    while self.next_index in early and self.episodes < self.config.episodes:
                        self._take(early.pop(self.next_index))
                    if self.episodes >= self.config.episodes:
                        break
            finally:
                run.close()
        if self.episodes < self.config.episodes:
            raise self._too_few()
        return Collected(self.episodes, self.written, self.next_index, self.discarded, tuple(self.failures))

    def _jobs(self) -> Iterator[EpisodeJob]:
        config = self.config
        for index in range(self.next_index, config.attempts_allowed):
            spec = EpisodeSpec(
                seed=config.seed(index),
                horizon=config.horizon,
                stop_on_success=config.stop_on_success,
                steps_after_success=config.steps_after_success,
                driver=self.demonstrator.name,
            )
            yield EpisodeJob(index, spec, self.world, self.demonstrator.driver_maker, self.sink.make_recorder)

    def _take(self, outcome: EpisodeOutcome) -> None:
        """The next episode in seed order is here: write it, or leave it."""
        self.next_index += 1
        result, failure = outcome.result, outcome.failure
        if result is not None and (result.success or not self.config.only_successes):
            self.sink.write(outcome.recording, self._provenance(outcome))
            self.episodes += 1
            self.written += 1
        elif result is not None:
            self.discarded += 1
        elif failure is not None:
            self.failures.append(f"seed {outcome.job.spec.seed}: {failure.message.splitlines()[0]}")
        self.progress(
            Progress(
                done=self.episodes,
                total=self.config.episodes,
                successes=self.written,
                failures=len(self.failures),
                attempts=self.next_index,
                message=failure.message if failure else "",
            )
        )

    def _provenance(self, outcome: EpisodeOutcome) -> dict[str, Any]:
        result, context = outcome.result, outcome.context
        assert result is not None and context is not None
        return {
            "driver": self.demonstrator.name,
            "seed": result.seed,
            "success": result.success,
            "ending": result.ending,
            "task": context.task,
            "embodiment": context.embodiment.fingerprint(),
            "code": self.code,
            **self.about,
        }

    def _too_few(self) -> TooFewEpisodesError:
        return TooFewEpisodesError(
            "too few episodes were worth keeping",
            where=str(self.about["collection"]["world"]),
            got=f"{self.episodes} of {self.config.episodes} after {self.config.attempts_allowed} attempts; "
            f"{self.discarded} did not succeed, {len(self.failures)} broke off"
            + (f" (last: {self.failures[-1]})" if self.failures else ""),
            remedy="raise max_attempts, lower the driver's noise, or keep failures with only_successes=False",
        )
