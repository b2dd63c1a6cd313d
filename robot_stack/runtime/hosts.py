"""Where a fleet's episodes run: in this process, or in a child that only simulates.

Both speak the same few messages, so that a fleet does not care. To a host: :class:`Prepare`, :class:`Start`,
:class:`Answers`, :class:`Abort`. From a host: :class:`~robot_stack.runtime.slots.Ask` and ``(slot, EpisodeOutcome)``,
each stamped with the run it belongs to, because a run that was left early may still have messages under way.
"""

from __future__ import annotations

import os
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import connection
from queue import SimpleQueue
from typing import Any, Protocol

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.world import WorldMaker
from robot_stack.runtime.processes import Child, not_picklable
from robot_stack.runtime.slots import Ask, EpisodeFailure, EpisodeJob, EpisodeOutcome, Slots, drain

Event = Ask | tuple[int, EpisodeOutcome]


@dataclass(frozen=True, eq=False)
class Prepare:
    """Make a world ahead of its first episode."""

    world: WorldMaker


@dataclass(frozen=True, eq=False)
class Start:
    """Begin an episode in a free slot."""

    run: int
    slot: int
    job: EpisodeJob


@dataclass(frozen=True, eq=False)
class Answers:
    """Decisions for waiting episodes, one message for all of a batch that live on one host."""

    chunks: tuple[tuple[int, ActionChunk], ...]


@dataclass(frozen=True)
class Abort:
    """Break episodes off."""

    slots: tuple[int, ...]


Message = Prepare | Start | Answers | Abort


class HostDied(Exception):
    """The process behind a host is gone; the text says how."""


@dataclass(frozen=True)
class Unreadable:
    """What a child says about a message that it cannot unpack: a module it cannot import, most likely."""

    traceback: str


class Host(Protocol):
    """Some slots, somewhere."""

    def send(self, message: Message) -> None:
        """Tell it something; a dead host is noticed by :meth:`receive`."""
        ...

    def receive(self) -> list[tuple[int, Event]]:
        """What has happened since, as ``(run, event)``.

        Raises:
            HostDied: if its process is gone.
            ConfigError: if it cannot import what it was sent.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class _Desk:
    """Slots that obey messages: the half that is the same in both kinds of host."""

    def __init__(self, count: int) -> None:
        self.slots = Slots(count)
        self.runs: dict[int, int] = {}

    def obey(self, message: Message) -> None:
        if isinstance(message, Prepare):
            self.slots.prepare(message.world)
        elif isinstance(message, Start):
            self.runs[message.slot] = message.run
            self.slots.start(message.slot, message.job)
        elif isinstance(message, Answers):
            for slot, chunk in message.chunks:
                self.slots.answer(slot, chunk)
        else:
            for slot in message.slots:
                self.slots.abort(slot)

    def stamp(self, event: Event) -> tuple[int, Event]:
        return self.runs[event.slot if isinstance(event, Ask) else event[0]], event


class LocalHost:
    """Slots in this process: for tests, debugging, and where processes cannot be had."""

    def __init__(self, slots: int) -> None:
        self._desk = _Desk(slots)

    def send(self, message: Message) -> None:
        """See :meth:`Host.send`."""
        self._desk.obey(message)

    def receive(self) -> list[tuple[int, Event]]:
        """Advance the episodes until all wait or one is done."""
        events = []
        for event in drain(self._desk.slots):
            events.append(self._desk.stamp(event))
            if not isinstance(event, Ask):
                break
        return events

    def close(self) -> None:
        """Break off what runs and release the worlds."""
        self._desk.slots.close()


class ProcessHost:
    """Slots in a child process."""

    def __init__(self, slots: int, *, number: int) -> None:
        self._child = Child(_serve, slots, name=f"robot-stack-fleet-{number}")
        self.connection = self._child.connection

    def send(self, message: Message) -> None:
        """See :meth:`Host.send`."""
        try:
            self._child.send(message)
        except OSError:
            return

    def receive(self) -> list[tuple[int, Event]]:
        """See :meth:`Host.receive`; never blocks."""
        events: list[tuple[int, Event]] = []
        try:
            while self.connection.poll(0):
                event = self.connection.recv()
                if isinstance(event, Unreadable):
                    raise ConfigError(
                        "a fleet's process cannot import what it was sent",
                        got=event.traceback,
                        remedy="define world, driver and recorder makers in a module that can be imported everywhere",
                    )
                events.append(event)
        except (EOFError, OSError) as error:
            if events:
                return events  # its last words first; the next call tells that it died
            raise HostDied(self._child.death()) from error
        return events

    def close(self) -> None:
        """End the child."""
        self._child.close()


def _serve(pipe: connection.Connection, count: int) -> None:
    """Simulate until the pipe closes. A thread reads, so that the fleet is never kept waiting when it sends."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(pipe, inbox), name="read", daemon=True).start()
    desk = _Desk(count)
    while True:
        while not desk.slots.runnable or not inbox.empty():
            message = inbox.get()
            if isinstance(message, Unreadable):
                pipe.send(message)
            else:
                desk.obey(message)
        event = desk.slots.advance()
        if event is not None:
            _tell(pipe, *desk.stamp(event))


def _read(pipe: connection.Connection, inbox: SimpleQueue[Any]) -> None:
    while True:
        try:
            inbox.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)
        except Exception:  # unpacking imports modules, and those raise what they like
            inbox.put(Unreadable(traceback.format_exc()))


def _tell(pipe: connection.Connection, run: int, event: Event) -> None:
    try:
        pipe.send((run, event))
    except OSError:
        os._exit(0)
    except Exception as error:  # a recording that cannot be pickled
        if isinstance(event, Ask):
            raise
        slot, outcome = event
        failure = EpisodeFailure(str(not_picklable(outcome.recording, error)), traceback.format_exc())
        pipe.send((run, (slot, EpisodeOutcome(outcome.job, failure=failure))))
