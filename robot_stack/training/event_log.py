"""The run's history as JSON lines: one event a line, readable while it grows, whole after a crash."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from robot_stack.core.atomic import storage_errors


class EventLog:
    """Appends events to ``events.jsonl``.

    An event has ``"kind"`` (``"train"``, ``"validation"``, ``"checkpoint"``, ``"resumed"``, ``"message"``, …),
    ``"step"`` and ``"time"`` (seconds since 1970); numbers that are not finite are written as ``null``.

    Args:
        path: the file; a torn last line, left by a crash, is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            _remove_torn_line(path)
            self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one event; it is with the operating system when the call returns."""
        event = {"kind": kind, "step": step, "time": round(time.time(), 3), **{k: _plain(v) for k, v in values.items()}}
        with storage_errors(self.path):
            self._file.write(json.dumps(event, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def read_events(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The events of a run without what a resume has undone.

    After a crash a run goes on from its last checkpoint, so some steps are there twice: of those the later ones count.

    Args:
        path: ``events.jsonl``.
        kind: only events of this kind.
    """
    kept: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line of a run that is being written, or was cut off
        if event["kind"] == "resumed":
            kept = [e for e in kept if e["step"] <= event["step"]]
        kept.append(event)
    return [e for e in kept if kind is None or e["kind"] == kind]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value


def _remove_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
