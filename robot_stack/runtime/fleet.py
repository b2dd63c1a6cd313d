"""Many episodes over several processes, their decisions answered in batches here.

Child processes only simulate; they import no torch. This process holds the policy and runs :class:`BatchDriver.act` on
the episodes that wait, and whole action chunks travel back: one message a chunk, not one a step. Scripted drivers live
beside their world in the child and need no messages at all.

**When a batch is formed.** The slots form ``groups`` that take turns: once every episode of the group whose turn it is
waits for a decision (those that ended have been replaced), all of them are answered in one batch, sorted by job. With
one group, the default, batches are as large as they get, which saves most where inference is the dear part. With two,
this process infers for one group while the children simulate the other: better where simulating is the dear part
(cameras). Messages may arrive in any order; which episodes share a batch does not depend on it.

**What is promised.** An episode's outcome depends on its job and the driver alone, up to rounding in batched inference:
worlds are reset from the seed, and a batch driver keeps its state per slot. For equal ``slots`` and ``groups`` even the
batches are equal, so outcomes are equal bit for bit, in any run and with any number of processes.

**What goes wrong.** An exception of a robot, task, driver or recorder fails that episode only. If ``act`` raises on a
batch of several, nobody knows who spoiled it: all of them start again from their seeds and are answered alone. If a
process dies, its episodes start again, each with a process to itself; an episode that kills a second one has failed.
``max_consecutive_failures`` failures in a row end the run with a :class:`FleetError`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from types import TracebackType

from robot_stack.core.driver import BatchDriver
from robot_stack.core.errors import ConfigError, RobotStackError, ShapeError
from robot_stack.core.world import WorldMaker
from robot_stack.runtime.hosts import Abort, Answers, Event, Host, HostDied, LocalHost, Prepare, ProcessHost, Start
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

    slots: int = 16
    """Episodes side by side, over all processes, each in a world of its own."""

    groups: int = 1
    """Of slots, that take turns; 2 lets inference and simulation overlap, with batches half as large."""

    max_batch: int = 256
    """Most episodes in one call of the driver."""

    max_consecutive_failures: int = 5
    """So many failed episodes in a row end the run."""

    def __post_init__(self) -> None:
        if self.processes < 0 or self.max_batch < 1 or self.max_consecutive_failures < 1:
            raise ConfigError(
                "a fleet needs processes >= 0, max_batch >= 1 and max_consecutive_failures >= 1", got=self
            )
        if not 1 <= self.groups <= self.slots:
            raise ConfigError("a fleet needs at least one slot for each group", got=self)


_QUEUED = 2
"""Episodes with a driver of their own that a process holds: one runs, one waits its turn and needs no world yet."""


@dataclass
class _Ticket:
    """A job under way."""

    job: EpisodeJob
    deaths: int = 0
    alone: bool = False
    """Answer it in a batch of its own."""

    host: int = -1
    ask: Ask | None = None
    """What it waits for; ``None`` while it is simulated."""

    def take_ask(self) -> Ask:
        """The question, which is about to be answered."""
        assert self.ask is not None
        ask, self.ask = self.ask, None
        return ask


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
        self._start_hosts()
        self._run += 1
        run = _Run(self, self._run, iter(jobs), driver)
        try:
            yield from run.outcomes()
        finally:
            run.break_off()

    def prepare(self, world: WorldMaker) -> None:
        """Start the processes and make a world in each; returns at once, while they do it beside this process.

        Nothing needs this, but importing a simulator takes seconds that this process may use to load a policy.
        """
        self._start_hosts()
        for host in self._hosts:
            if isinstance(host, ProcessHost):
                host.send(Prepare(world))

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

    def _start_hosts(self) -> None:
        if not self._hosts:
            self._hosts = [self._new_host(i) for i in range(max(1, min(self.config.processes, self.config.slots)))]

    def _new_host(self, number: int) -> Host:
        if self.config.processes == 0:
            return LocalHost(self.config.slots)
        slots = -(-self.config.slots // self.config.processes)
        return ProcessHost(slots, number=number)

    def _replace_host(self, number: int) -> None:
        self._hosts[number].close()
        self._hosts[number] = self._new_host(number)


class _Run:
    """One pass over the jobs."""

    def __init__(self, fleet: Fleet, number: int, jobs: Iterator[EpisodeJob], driver: BatchDriver | None) -> None:
        self.fleet, self.config, self.number = fleet, fleet.config, number
        self.jobs, self.driver = jobs, driver
        self.following: EpisodeJob | None = None
        self.again: deque[_Ticket] = deque()
        self.active: dict[int, _Ticket] = {}  # by slot, counted over all hosts
        self.failures_in_a_row = 0

    def outcomes(self) -> Iterator[EpisodeOutcome]:
        groups = range(self.config.groups)
        turn = 0
        for group in groups:
            self._hand_out(group)
        while True:
            self._hand_out(turn)
            deciding = self._deciding(turn)
            if deciding and all(self.active[slot].ask is not None for slot in deciding):
                for outcome in self._decide(deciding):
                    yield self._count(outcome)
                turn = (turn + 1) % len(groups)
                continue
            if not deciding:
                busy = [group for group in groups if self._deciding(group)]
                if busy:
                    turn = next((group for group in busy if group > turn), busy[0])
                    continue
                for group in groups:
                    self._hand_out(group)
                if not self.active:
                    return
            for event in self._receive():
                outcome = self._note(*event)
                if outcome is not None:
                    yield self._count(outcome)

    def _deciding(self, group: int) -> list[int]:
        """Slots of a group whose episodes need the batch driver."""
        return [slot for slot in self._slots(group) if slot in self.active and self.active[slot].job.driver is None]

    def _slots(self, group: int) -> range:
        """Groups are blocks of equal size, whatever the number of processes."""
        count, groups = self.config.slots, self.config.groups
        return range(-(-group * count // groups), -(-(group + 1) * count // groups))

    # --- giving out jobs

    def _hand_out(self, group: int) -> None:
        for slot in self._slots(group):
            if slot in self.active:
                continue
            host = slot % len(self.fleet._hosts)
            ticket = self._next_ticket(host)
            if ticket is not None:
                ticket.host, ticket.ask = host, None
                self.active[slot] = ticket
                self.fleet._hosts[host].send(Start(self.number, slot, ticket.job))

    def _next_ticket(self, host: int) -> _Ticket | None:
        """What a free slot of this host does next."""
        there = [ticket for ticket in self.active.values() if ticket.host == host]
        if any(ticket.deaths for ticket in there):
            return None  # an episode that has been through a death has its process to itself
        for ticket in self.again:
            if not ticket.deaths or not there:
                self.again.remove(ticket)
                return ticket
        if any(ticket.deaths for ticket in self.again):
            return None  # let a process run empty for it
        job = self._peek()
        if job is None or (job.driver is not None and len(there) >= _QUEUED):
            return None
        self.following = None
        return _Ticket(job)

    def _peek(self) -> EpisodeJob | None:
        if self.following is None:
            job = next(self.jobs, None)
            if job is not None and job.driver is None:
                if self.driver is None:
                    raise ConfigError("nobody decides for this episode", where=f"job {job.index}", expected="a driver")
                job = replace(job, spec=replace(job.spec, history=self.driver.history))
            self.following = job
        return self.following

    # --- hearing from hosts

    def _receive(self) -> list[tuple[int, int, Event]]:
        """Events as ``(host, run, event)``; waits for at least one."""
        ready = range(len(self.fleet._hosts))
        pipes = {h.connection: i for i, h in enumerate(self.fleet._hosts) if isinstance(h, ProcessHost)}
        if pipes:
            ready = [pipes[p] for p in connection.wait(list(pipes))]  # type: ignore[index]
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
            return None
        slot, outcome = event
        ticket = self.active.pop(slot, None)
        return outcome if ticket is None else replace(outcome, job=ticket.job)

    def _bury(self, number: int, how: str) -> list[tuple[int, EpisodeOutcome]]:
        """Replace a dead process; its episodes start again, or have failed when it is their second."""
        self.fleet._replace_host(number)
        failed = []
        for slot, ticket in [(s, t) for s, t in self.active.items() if t.host == number]:
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

    def _decide(self, slots: list[int]) -> list[EpisodeOutcome]:
        """Answer these slots in batches; returns the episodes that failed doing so."""
        tickets = sorted((self.active[slot] for slot in slots), key=lambda ticket: ticket.job.index)
        batches = [[t.take_ask()] for t in tickets if t.alone]
        together = [t.take_ask() for t in tickets if not t.alone]
        batches += [together[i : i + self.config.max_batch] for i in range(0, len(together), self.config.max_batch)]
        return [outcome for batch in batches for outcome in self._answer(batch)]

    def _answer(self, batch: list[Ask]) -> list[EpisodeOutcome]:
        assert self.driver is not None
        failed: list[EpisodeOutcome] = []
        for ask in list(batch):
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
