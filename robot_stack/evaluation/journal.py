"""The episodes of an evaluation as they finish, one JSON line each: a killed evaluation goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from robot_stack.core.atomic import fsync_folder, storage_errors
from robot_stack.core.config_json import canonical_json, from_plain, to_plain
from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.evaluation.results import EpisodeRecord, ResultFileError


class EvaluationMismatchError(RobotStackError):
    """The folder holds an evaluation of something else."""


class EpisodeJournal:
    """Append-only ``episodes.jsonl``: a header that says what is evaluated, then one line for each episode.

    Args:
        path: the file; made if it is not there.
        header: what is evaluated, as plain data; must equal the one in the file.

    Raises:
        EvaluationMismatchError: if the file belongs to another evaluation; the message lists every difference.
        ResultFileError: if a line other than the last is damaged.
    """

    def __init__(self, path: str | Path, header: dict[str, Any]) -> None:
        self.path = Path(path)
        self.records: dict[int, EpisodeRecord] = {}
        """Finished episodes by index, those of earlier runs included."""
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._read(header) if self.path.exists() else 0
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.ftruncate(self._descriptor, whole)  # a line cut short by a kill goes
            os.lseek(self._descriptor, 0, os.SEEK_END)
            if whole == 0:
                self._write(to_plain(header))
                fsync_folder(self.path.parent)

    def append(self, record: EpisodeRecord) -> None:
        """Keep a finished episode; it is durable when this returns."""
        with storage_errors(self.path):
            self._write(to_plain(record))
        self.records[record.index] = record

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, plain: Any) -> None:
        line = json.dumps(plain, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        written = 0
        while written < len(line):
            written += os.write(self._descriptor, line[written:])
        os.fsync(self._descriptor)

    def _read(self, header: dict[str, Any]) -> int:
        """Read what is there; returns how many bytes are whole lines."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        if not lines:
            return 0
        self._compare(self._parse(lines[0], 1), json.loads(canonical_json(header)))
        for number, line in enumerate(lines[1:], start=2):
            plain = self._parse(line, number)
            try:
                record = from_plain(EpisodeRecord, plain)
            except RobotStackError as error:
                raise self._damaged(number, str(error)) from error
            self.records[record.index] = record
        return whole

    def _parse(self, line: bytes, number: int) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._damaged(number, str(error)) from error

    def _damaged(self, number: int, got: str) -> ResultFileError:
        return ResultFileError(
            "a journal of evaluated episodes is damaged",
            where=f"{self.path}, line {number}",
            got=got,
            remedy="delete this line to evaluate that episode again, or evaluate in another folder",
        )

    def _compare(self, theirs: Any, mine: dict[str, Any]) -> None:
        if not isinstance(theirs, dict):
            raise ConfigError("this is not a journal of evaluated episodes", where=self.path)
        differences = list(_differences(theirs, mine))
        if differences:
            raise EvaluationMismatchError(
                "this folder holds another evaluation",
                where=self.path,
                got="".join(f"\n    - {d}" for d in differences),
                remedy="evaluate in another folder, or delete this one to start again",
            )


def _differences(theirs: dict[str, Any], mine: dict[str, Any], prefix: str = "") -> list[str]:
    out = []
    for key in sorted({*theirs, *mine}):
        here, there = mine.get(key), theirs.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            out += _differences(there, here, f"{prefix}{key}.")
        elif here != there:
            out.append(f"{prefix}{key}: the folder has {there!r}, asked for is {here!r}")
    return out
