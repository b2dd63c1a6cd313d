"""Many episodes side by side in one process, each a generator of the one control loop."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step, Subscriber
from robot_stack.core.observation import Observation
from robot_stack.core.world import World, WorldMaker
from robot_stack.runtime.loop import Decisions, EpisodeSpec, episode
from robot_stack.runtime.makers import same_maker

DriverMaker = Callable[[World], Driver]
"""Makes a driver beside its world, in whichever process that is (a scripted expert, say); must be picklable."""


class Recorder(Subscriber, Protocol):
    """A subscriber that has something to hand over when the episode is over."""

    def take(self) -> Any:
        """What was recorded: picklable, called once, after ``on_end``."""
        ...


@dataclass(frozen=True)
class EpisodeJob:
    """One episode to run, somewhere."""

    index: int
    """The caller's number for it, unique within a run; batches are sorted by it."""

    spec: EpisodeSpec
    """Seed, horizon and ending; ``history`` is taken from whoever decides."""

    world: WorldMaker
    """Where; worlds of equal makers are reused from episode to episode."""

    driver: DriverMaker | None = None
    """Who decides, beside the world; ``None``: the fleet's batch driver."""

    recorder: Callable[[World, EpisodeJob], Recorder] | None = None
    """Makes what records the episode; must be picklable."""


@dataclass(frozen=True)
class EpisodeFailure:
    """Why an episode has no result."""

    message: str
    """Kind of error and what it said."""

    traceback: str = ""
    """Where it was raised, in the process where it was; empty when the process died."""


def failure_of(error: BaseException) -> EpisodeFailure:
    """An exception as plain text that can travel."""
    return EpisodeFailure(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


@dataclass(frozen=True, eq=False)
class EpisodeOutcome:
    """What came of one job: a result or a failure."""

    job: EpisodeJob
    """What was asked for."""

    result: EpisodeResult | None = None
    """How it ended; ``None`` when it failed."""

    failure: EpisodeFailure | None = None
    """Why there is no result; ``None`` when there is one."""

    context: EpisodeContext | None = None
    """Robot and task; ``None`` when the episode never started."""

    recording: Any = None
    """What the job's recorder took; ``None`` without a recorder or after a failure."""

    horizon: int = 0
    """Steps it was allowed; 0 when it never started."""

    wall_s: float = 0.0
    """From its start to its end, waiting for decisions included [s]."""

    latencies_s: tuple[float, ...] = ()
    """Time of each decision of a driver beside the world; empty with a batch driver [s]."""


@dataclass(frozen=True, eq=False)
class Ask:
    """An episode waits for a decision."""

    slot: int
    history: tuple[Observation, ...]
    begins: tuple[str, int] | None = None
    """Instruction and seed when it is the episode's first question."""


class Worlds:
    """Worlds of equal makers, reused; at most ``keep`` idle ones are kept."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.idle: list[tuple[WorldMaker, World]] = []

    def take(self, maker: WorldMaker) -> World:
        """An idle world of this maker, or a new one."""
        for place, (other, world) in enumerate(self.idle):
            if same_maker(maker, other):
                del self.idle[place]
                return world
        return maker()

    def give_back(self, maker: WorldMaker, world: World) -> None:
        """The episode went well: keep the world for the next one."""
        self.idle.append((maker, world))
        while len(self.idle) > self.keep:
            self.idle.pop(0)[1].close()

    def close(self) -> None:
        """Release all idle worlds."""
        while self.idle:
            self.idle.pop()[1].close()


@dataclass
class _Running:
    job: EpisodeJob
    started_s: float
    world: World | None = None
    loop: Decisions | None = None
    driver: Driver | None = None
    recorder: Recorder | None = None
    context: EpisodeContext | None = None
    chunk: ActionChunk | None = None
    asked: bool = False
    latencies_s: list[float] = field(default_factory=list)


class Slots:
    """Runs up to ``count`` episodes side by side; somebody else answers those without a driver of their own.

    ``start`` an episode in a free slot, then call ``advance`` while ``runnable``: it takes one episode to its next
    question or its end. ``answer`` makes a waiting episode runnable again.
    """

    def __init__(self, count: int) -> None:
        self.running: dict[int, _Running] = {}
        self.queue: deque[int] = deque()
        self.worlds = Worlds(keep=count)

    @property
    def runnable(self) -> bool:
        """Whether :meth:`advance` has something to do."""
        return bool(self.queue)

    def prepare(self, maker: WorldMaker) -> None:
        """Make a world ahead of its first episode; an error waits until then."""
        with contextlib.suppress(Exception):
            self.worlds.give_back(maker, maker())

    def start(self, slot: int, job: EpisodeJob) -> None:
        """Begin an episode in a free slot."""
        self.running[slot] = _Running(job, time.perf_counter())
        self.queue.append(slot)

    def answer(self, slot: int, chunk: ActionChunk) -> None:
        """Decide what a waiting episode does next."""
        self.running[slot].chunk = chunk
        self.queue.append(slot)

    def abort(self, slot: int) -> None:
        """Break an episode off; nothing is heard of it again. Its world is kept: the next reset restores it."""
        run = self.running.pop(slot, None)
        if run is None:
            return
        if slot in self.queue:
            self.queue.remove(slot)
        self._break_off(run)

    def advance(self) -> Ask | tuple[int, EpisodeOutcome] | None:
        """Take one episode to its next decision; tells its question (:class:`Ask`) or its end ``(slot, outcome)``."""
        slot = self.queue.popleft()
        run = self.running[slot]
        try:
            return self._advance(slot, run)
        except StopIteration as done:
            return slot, self._finish(slot, run, done.value)
        except Exception as error:
            return slot, self._fail(slot, run, error)

    def _advance(self, slot: int, run: _Running) -> Ask | None:
        if run.loop is None:
            self._prepare(run)
            assert run.loop is not None
            history = next(run.loop)
        else:
            assert run.chunk is not None
            history = run.loop.send(run.chunk)
        if run.driver is None:
            assert run.context is not None
            begins = None if run.asked else (run.context.instruction, run.context.seed)
            run.asked = True
            return Ask(slot, history, begins)
        before = time.perf_counter()
        run.chunk = run.driver.act(history)
        run.latencies_s.append(time.perf_counter() - before)
        self.queue.appendleft(slot)
        return None

    def _prepare(self, run: _Running) -> None:
        job, spec = run.job, run.job.spec
        world = run.world = self.worlds.take(job.world)
        if job.driver is not None:
            run.driver = job.driver(world)
            run.driver.reset(world.task.instruction, spec.seed)
            spec = replace(spec, history=run.driver.history)
        if job.recorder is not None:
            run.recorder = job.recorder(world, job)
        subscribers = [_ContextKeeper(run), *([run.recorder] if run.recorder is not None else [])]
        run.loop = episode(world.robot, world.task, spec, subscribers=subscribers)

    def _finish(self, slot: int, run: _Running, result: EpisodeResult) -> EpisodeOutcome:
        try:
            recording = run.recorder.take() if run.recorder is not None else None
        except Exception as error:
            return self._fail(slot, run, error)
        del self.running[slot]
        assert run.world is not None
        self.worlds.give_back(run.job.world, run.world)
        return EpisodeOutcome(
            run.job,
            result,
            context=run.context,
            recording=recording,
            horizon=run.job.spec.horizon or run.world.task.horizon,
            wall_s=time.perf_counter() - run.started_s,
            latencies_s=tuple(run.latencies_s),
        )

    def _fail(self, slot: int, run: _Running, error: Exception) -> EpisodeOutcome:
        del self.running[slot]
        self._break_off(run, keep_world=False)
        wall_s = time.perf_counter() - run.started_s
        return EpisodeOutcome(run.job, failure=failure_of(error), context=run.context, wall_s=wall_s)

    def _break_off(self, run: _Running, *, keep_world: bool = True) -> None:
        try:
            if run.loop is not None:
                run.loop.close()
            if run.world is not None and keep_world:
                self.worlds.give_back(run.job.world, run.world)
            elif run.world is not None:
                run.world.close()
        except Exception:  # what broke is broken already; the first error is the one reported
            run.world = None

    def close(self) -> None:
        """Break off what runs and release every world."""
        for slot in tuple(self.running):
            self.abort(slot)
        self.worlds.close()


class _ContextKeeper:
    """Remembers an episode's context for its outcome."""

    def __init__(self, run: _Running) -> None:
        self.run = run

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        self.run.context = context

    def on_step(self, step: Step) -> None:
        pass

    def on_end(self, result: EpisodeResult | None) -> None:
        pass


def drain(slots: Slots) -> Iterator[Ask | tuple[int, EpisodeOutcome]]:
    """Advance everything that can run, in turn, until all wait or are done."""
    while slots.runnable:
        event = slots.advance()
        if event is not None:
            yield event
