"""The append-only log: one JSON line an event, each carrying the hash of the one before, durable before it counts."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_stack.core.atomic import fsync_folder, storage_errors
from robot_stack.core.config_json import canonical_json
from robot_stack.core.errors import StorageError
from robot_stack.evaluation.trials.errors import LogDamagedError

GENESIS = "0" * 64
"""Stands for the hash before the first event."""


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    seq: int
    """Counts from 0 without gaps."""

    time_s: float
    """Wall clock, seconds since 1970 UTC; may go back when somebody sets the clock."""

    mono_s: float
    """Monotonic clock of the machine [s]; starts anew with the machine."""

    kind: str
    """What happened; see :mod:`robot_stack.evaluation.trials.state`."""

    data: dict[str, Any]
    """The particulars; never which policy ran."""

    prev: str
    """Hash of the event before."""

    hash: str
    """SHA-256 of all the above as canonical JSON."""

    def line(self) -> str:
        """As it stands in the log, without the line's end."""
        return canonical_json({**self._body(), "hash": self.hash})

    def computed_hash(self) -> str:
        """What the hash should be."""
        return hashlib.sha256(canonical_json(self._body()).encode()).hexdigest()

    def _body(self) -> dict[str, Any]:
        names = ("seq", "time_s", "mono_s", "kind", "data", "prev")
        return {name: getattr(self, name) for name in names}


def make_event(seq: int, kind: str, data: dict[str, Any], prev: str, time_s: float, mono_s: float) -> Event:
    """An event with its hash; ``data`` as JSON would give it back."""
    plain = json.loads(canonical_json(data))
    open_event = Event(seq, round(time_s, 3), round(mono_s, 3), kind, plain, prev, "")
    return Event(**{**open_event.__dict__, "hash": open_event.computed_hash()})


def parse_line(line: bytes, number: int, path: Path) -> Event:
    """One line of a log, its own hash checked.

    Args:
        line: without its end.
        number: of the line, from 1.
        path: for messages.

    Raises:
        LogDamagedError: if it is not an event or was edited.
    """
    try:
        plain = json.loads(line)
        event = Event(**plain)
    except (ValueError, TypeError) as error:
        raise _damaged("a line of the event log is not an event", path, number, str(error)) from error
    if event.computed_hash() != event.hash:
        raise _damaged("an event was edited after it was written", path, number, f"event {event.seq} ({event.kind})")
    return event


def parse_log(data: bytes, path: Path) -> tuple[list[Event], int]:
    """Every event of a log, the chain checked, and how many bytes are whole lines.

    A last line without an end was being written when its process died; it was never acknowledged, and is left out.

    Raises:
        LogDamagedError: naming the first line that was edited, removed or moved.
    """
    whole = data.rfind(b"\n") + 1
    events: list[Event] = []
    prev = GENESIS
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        event = parse_line(line, number, path)
        if event.seq != len(events) or event.prev != prev:
            found = f"event {event.seq} after {len(events)} events"
            raise _damaged("events were removed, added or moved", path, number, found)
        events.append(event)
        prev = event.hash
    return events, whole


class EventLog:
    """The log, open for writing by one process.

    Args:
        path: the file; made if it is not there.
        wall: the wall clock.

    Raises:
        LogDamagedError: if what is there is not as it was written.
    """

    def __init__(self, path: str | Path, wall: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._wall = wall
        with storage_errors(self.path):
            fresh = not self.path.exists()
            data = b"" if fresh else self.path.read_bytes()
            self.events, self._size = parse_log(data, self.path)
            self.torn = len(data) - self._size
            """Bytes of an event that was never finished, now cut off."""
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.ftruncate(self._descriptor, self._size)
            if fresh:
                fsync_folder(self.path.parent)

    @property
    def head(self) -> str:
        """Hash of the last event."""
        return self.events[-1].hash if self.events else GENESIS

    def append(self, kind: str, data: dict[str, Any]) -> Event:
        """Write an event; it is durable when this returns.

        Raises:
            StorageError: if the file system refuses; the log is then as it was, and closed.
        """
        if self._descriptor < 0:
            raise StorageError("the event log is closed", where=self.path, remedy="open the store again")
        event = make_event(len(self.events), kind, data, self.head, self._wall(), time.monotonic())
        line = event.line().encode() + b"\n"
        with storage_errors(self.path):
            try:
                self._write(line)
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                self.close()  # after a failed fsync nobody knows what the disk holds: read it again
                raise
        self._size += len(line)
        self.events.append(event)
        return event

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: bytes) -> None:
        written = 0
        while written < len(line):
            written += os.pwrite(self._descriptor, line[written:], self._size + written)
        os.fsync(self._descriptor)


def _damaged(message: str, path: Path, number: int, got: str) -> LogDamagedError:
    return LogDamagedError(
        message,
        where=f"{path}, line {number}",
        got=got,
        expected="the chain of hashes as it was written",
        remedy="restore the file from a backup; results from a changed log are not to be trusted",
    )
