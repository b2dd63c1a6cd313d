"""A SQLite copy of the event log for processes that only look, and the witness that the log was not cut short."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from robot_stack.evaluation.trials.errors import LogDamagedError
from robot_stack.evaluation.trials.event_log import Event, parse_log

_SCHEMA = "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, line TEXT NOT NULL)"


class TrialIndex:
    """Written by the one process that holds the store, read by any.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._count = 0
        self._db = sqlite3.connect(self.path, check_same_thread=False, timeout=10.0, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LogDamagedError(
                "the index of the event log is not readable",
                where=self.path,
                got=str(error),
                remedy="delete this file: it is made again from the log",
            ) from error

    def add(self, event: Event) -> None:
        """Copy an event that is durable in the log."""
        row = (event.seq, event.hash, event.line())
        self._db.execute("INSERT INTO events (seq, hash, line) VALUES (?, ?, ?)", row)
        self._count = event.seq + 1

    def follow(self, events: list[Event]) -> None:
        """Catch up with the log, after checking that the log still holds all that this index has seen.

        Raises:
            LogDamagedError: if the log is shorter than it was, or was written anew.
        """
        rows = self._db.execute("SELECT seq, hash FROM events ORDER BY seq").fetchall()
        if len(rows) > len(events):
            raise LogDamagedError(
                "the event log was cut short",
                where=self.path.parent,
                got=f"{len(events)} events",
                expected=f"{len(rows)} events, the last with hash {rows[-1][1][:16]}…",
                remedy=f"restore events.jsonl from a backup, or from the table 'events' of {self.path.name}",
            )
        for (seq, known), event in zip(rows, events, strict=False):
            if known != event.hash or seq != event.seq:
                raise LogDamagedError(
                    "the event log was written anew",
                    where=f"{self.path.parent}, event {event.seq}",
                    got=event.hash,
                    expected=known,
                    remedy="restore events.jsonl from a backup; results from a changed log are not to be trusted",
                )
        self._count = len(rows)
        self.catch_up(events)

    def catch_up(self, events: list[Event]) -> None:
        """Copy what is new in the log.

        Raises:
            sqlite3.Error: if the file cannot be written; the next call copies what this one did not.
        """
        for event in events[self._count :]:
            self.add(event)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._db.close()


def read_index(path: str | Path) -> list[Event]:
    """Every event in an index, the chain checked; safe while another process writes.

    Raises:
        LogDamagedError: if the copy is not as it was written.
    """
    database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)
    try:
        rows = database.execute("SELECT line FROM events ORDER BY seq").fetchall()
    finally:
        database.close()
    return parse_log("".join(f"{line}\n" for (line,) in rows).encode(), Path(path))[0]
