"""Many episodes over several processes, their decisions answered in batches here.

Child processes only simulate; they import no torch. This process holds the policy and runs :class:`BatchDriver.act` on
the episodes that wait, and whole action chunks travel back: one message a chunk, not one a step. Scripted drivers live
beside their world in the child and need no messages at all.

**When a batch is formed.** As soon as ``batch_fraction`` of the running episodes wait for a decision, all that wait are
answered (``max_batch`` at a time). At one half, the default, the episodes fall into two groups that take turns: while
this process infers for one group, the children simulate the other. At 1 the batches are as large as they get and
nothing overlaps; near 0 every question is answered at once. Without child processes nothing can overlap, and it is 1.

**What is promised.** An episode's outcome depends on its job and the driver alone, not on the number of processes or
slots or on who shared its batch (up to rounding in batched inference): worlds are reset from the seed, and a batch
driver keeps its state per slot.

**What goes wrong.** An exception of a robot, task, driver or recorder fails that episode only. If ``act`` raises on a
batch of several, nobody knows who spoiled it: all of them start again from their seeds and are answered alone. If a
process dies, its episodes start again, each with a process to itself; an episode that kills a second one has failed.
``max_consecutive_failures`` failures in a row end the run with a :class:`FleetError`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from types import TracebackType

from robot_stack.core.driver import BatchDriver
from robot_stack.core.errors import ConfigError, RobotStackError, ShapeError
from robot_stack.runtime.hosts import Abort, Answers, Event, Host, HostDied, LocalHost, ProcessHost, Start
from robot_stack.runtime.processes import WorkerDiedError
from robot_stack.runtime.slots import Ask, EpisodeFailure, EpisodeJob, EpisodeOutcome, failure_of

Outcomes = Generator[EpisodeOutcome, None, None]


class FleetError(RobotStackError):
    """So many episodes failed in a row that going on makes no sense."""


@dataclass(frozen=True)
class FleetConfig:
    """How wide a fleet is."""

    processes: int = 2
    """Child processes; 0 simulates in this process, with the same results."""

    slots: int = 4
    """Episodes side by side in each process."""

    batch_fraction: float = 0.5
    """Decide once this share of the running episodes waits; in (0, 1]."""

    max_batch: int = 256
    """Most episodes in one call of the driver."""

    max_consecutive_failures: int = 5
    """So many failed episodes in a row end the run."""

    def __post_init__(self) -> None:
        if self.processes < 0 or self.slots < 1 or self.max_batch < 1 or self.max_consecutive_failures < 1:
            raise ConfigError(
                "a fleet needs processes >= 0 and at least one slot, batch entry and tolerated failure", got=self
            )
        if not 0 < self.batch_fraction <= 1:
            raise ConfigError("the batch fraction is out of range", got=self.batch_fraction, expected="0 < f <= 1")


@dataclass
class _Ticket:
    """A job under way."""

    job: EpisodeJob
    deaths: int = 0
    alone: bool = False
    """Answer it in a batch of its own."""

    host: int = -1
    ask: Ask | None = None


class Fleet:
    """Processes with slots that run episodes; stays warm between runs, and closes with its ``with`` block.

    Args:
        config: how wide.
    """

    def __init__(self, config: FleetConfig = FleetConfig()) -> None:
        self.config = config
        self._hosts: list[Host] = []
        self._run = 0

    def run(self, jobs: Iterable[EpisodeJob], driver: BatchDriver | None = None) -> Outcomes:
        """Run episodes.

        Args:
            jobs: read lazily, one when a slot is free; may be endless. Leaving the iteration breaks off what runs.
            driver: decides for jobs that bring no driver of their own; it is called in this process.

        Yields:
            One outcome for each job, as they complete; the order between episodes is not fixed.

        Raises:
            FleetError: after too many failures in a row.
            ConfigError: if a job cannot be sent to a process, or has nobody to decide for it.
        """
        if not self._hosts:
            self._hosts = [self._new_host(i) for i in range(max(1, self.config.processes))]
        self._run += 1
        run = _Run(self, self._run, iter(jobs), driver)
        try:
            yield from run.outcomes()
        finally:
            run.break_off()

    def close(self) -> None:
        """End the processes; idempotent."""
        while self._hosts:
            self._hosts.pop().close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_host(self, number: int) -> Host:
        if self.config.processes == 0:
            return LocalHost(self.config.slots)
        return ProcessHost(self.config.slots, number=number)

    def _replace_host(self, number: int) -> None:
        self._hosts[number].close()
        self._hosts[number] = self._new_host(number)


class _Run:
    """One pass over the jobs."""

    def __init__(self, fleet: Fleet, number: int, jobs: Iterator[EpisodeJob], driver: BatchDriver | None) -> None:
        self.fleet, self.config, self.number = fleet, fleet.config, number
        self.jobs, self.driver = jobs, driver
        self.again: deque[_Ticket] = deque()
        self.active: dict[int, _Ticket] = {}  # by slot, counted over all hosts
        self.waiting: dict[int, Ask] = {}  # oldest first
        self.failures_in_a_row = 0

    def outcomes(self) -> Iterator[EpisodeOutcome]:
        while True:
            self._hand_out()
            if not self.active:
                return
            done = [self._count(o) for event in self._receive() if (o := self._note(*event)) is not None]
            if self._time_to_decide():
                done += [self._count(outcome) for outcome in self._decide()]
            yield from done

    # --- giving out jobs

    def _hand_out(self) -> None:
        slots = self.config.slots
        for turn in range(slots):  # one slot of every host first, so that few jobs spread evenly
            for number in range(len(self.fleet._hosts)):
                slot = number * slots + turn
                if slot in self.active or not self._has_room(number):
                    continue
                ticket = self._next_ticket(number)
                if ticket is None:
                    continue
                ticket.host, ticket.ask = number, None
                self.active[slot] = ticket
                self.fleet._hosts[number].send(Start(self.number, slot, ticket.job))

    def _has_room(self, number: int) -> bool:
        """A process that runs an episode which has been through a death takes no other."""
        return not any(t.host == number and t.deaths for t in self.active.values())

    def _next_ticket(self, number: int) -> _Ticket | None:
        for ticket in self.again:
            if not ticket.deaths or not any(t.host == number for t in self.active.values()):
                self.again.remove(ticket)
                return ticket
        if any(ticket.deaths for ticket in self.again):
            return None  # let a process run empty for it
        job = next(self.jobs, None)
        if job is None:
            return None
        if job.driver is None and self.driver is None:
            raise ConfigError("nobody decides for this episode", where=f"job {job.index}", expected="a driver")
        spec = job.spec
        if job.driver is None and self.driver is not None and spec.history != self.driver.history:
            job = replace(job, spec=replace(spec, history=self.driver.history))
        return _Ticket(job)

    # --- hearing from hosts

    def _receive(self) -> list[tuple[int, int, Event]]:
        """Events as ``(host, run, event)``; waits for one unless there is something to decide."""
        ready = range(len(self.fleet._hosts))
        pipes = {h.connection: i for i, h in enumerate(self.fleet._hosts) if isinstance(h, ProcessHost)}
        if pipes:
            timeout = 0 if self._time_to_decide() else None
            ready = [pipes[p] for p in connection.wait(list(pipes), timeout)]  # type: ignore[index]
        events: list[tuple[int, int, Event]] = []
        for number in ready:
            try:
                events += [(number, *event) for event in self.fleet._hosts[number].receive()]
            except HostDied as death:
                events += [(number, self.number, event) for event in self._bury(number, str(death))]
        return events

    def _note(self, host: int, run: int, event: Event) -> EpisodeOutcome | None:
        if run != self.number:
            return None  # of a run that was left early
        if isinstance(event, Ask):
            self.active[event.slot].ask = event
            self.waiting[event.slot] = event
            return None
        slot, outcome = event
        ticket = self.active.pop(slot, None)
        return outcome if ticket is None else replace(outcome, job=ticket.job)

    def _bury(self, number: int, how: str) -> list[tuple[int, EpisodeOutcome]]:
        """Replace a dead process; its episodes start again, or have failed when it is their second."""
        self.fleet._replace_host(number)
        failed = []
        for slot, ticket in [(s, t) for s, t in self.active.items() if t.host == number]:
            self.waiting.pop(slot, None)
            ticket.deaths += 1
            if ticket.deaths < 2:
                del self.active[slot]
                self.again.append(ticket)
                continue
            error = WorkerDiedError(
                "a process died twice on the same episode",
                where=f"job {ticket.job.index}, seed {ticket.job.spec.seed}",
                got=how,
                remedy="run this seed with processes=0 to see the crash, or give the machine more memory",
            )
            failure = EpisodeFailure(f"{type(error).__name__}: {error}")
            failed.append((slot, EpisodeOutcome(ticket.job, failure=failure)))
        return failed

    def _count(self, outcome: EpisodeOutcome) -> EpisodeOutcome:
        self.failures_in_a_row = 0 if outcome.failure is None else self.failures_in_a_row + 1
        if outcome.failure is not None and self.failures_in_a_row >= self.config.max_consecutive_failures:
            raise FleetError(
                f"{self.failures_in_a_row} episodes failed in a row",
                where=f"last: job {outcome.job.index}, seed {outcome.job.spec.seed}",
                got=f"{outcome.failure.message}\n{outcome.failure.traceback}",
                remedy="correct the error above; run one episode with processes=0 to debug it",
            )
        return outcome

    # --- deciding

    def _time_to_decide(self) -> bool:
        share = self.config.batch_fraction if self.config.processes else 1.0
        enough = min(self.config.max_batch, math.ceil(share * len(self.active)))
        return 0 < enough <= len(self.waiting)

    def _decide(self) -> list[EpisodeOutcome]:
        """Answer everybody who waits, in batches; returns the episodes that failed doing so."""
        asks = list(self.waiting.values())
        together = [a for a in asks if not self.active[a.slot].alone]
        size = self.config.max_batch
        batches = [[a] for a in asks if self.active[a.slot].alone]
        batches += [together[i : i + size] for i in range(0, len(together), size)]
        return [outcome for batch in batches for outcome in self._answer(batch)]

    def _answer(self, batch: list[Ask]) -> list[EpisodeOutcome]:
        assert self.driver is not None
        failed: list[EpisodeOutcome] = []
        for ask in list(batch):
            del self.waiting[ask.slot]
            if ask.begins is not None:
                try:
                    self.driver.reset(ask.slot, *ask.begins)
                except Exception as error:
                    batch.remove(ask)
                    failed.append(self._give_up(ask.slot, error))
        if not batch:
            return failed
        try:
            chunks = self.driver.act([a.slot for a in batch], [a.history for a in batch])
        except Exception as error:
            if len(batch) == 1:
                return [*failed, self._give_up(batch[0].slot, error)]
            for ask in batch:
                ticket = self._take_off(ask.slot)
                ticket.alone = True
                self.again.append(ticket)
            return failed
        if len(chunks) != len(batch):
            raise ShapeError("a driver answered the wrong number of episodes", got=len(chunks), expected=len(batch))
        for number, host in enumerate(self.fleet._hosts):
            mine = [(a.slot, c) for a, c in zip(batch, chunks, strict=True) if self.active[a.slot].host == number]
            if mine:
                host.send(Answers(tuple(mine)))
        return failed

    def _give_up(self, slot: int, error: Exception) -> EpisodeOutcome:
        ticket = self._take_off(slot)
        return EpisodeOutcome(ticket.job, failure=failure_of(error))

    def _take_off(self, slot: int) -> _Ticket:
        ticket = self.active.pop(slot)
        self.fleet._hosts[ticket.host].send(Abort((slot,)))
        return ticket

    def break_off(self) -> None:
        """Tell the hosts to forget what still runs."""
        for number, host in enumerate(self.fleet._hosts):
            slots = tuple(s for s, t in self.active.items() if t.host == number)
            if slots:
                host.send(Abort(slots))
        self.active.clear()
        self.waiting.clear()
