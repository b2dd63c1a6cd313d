"""Checks every row of the data files: numbering, times, tasks, shapes, finite values; measures them on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.finding import RESTORE, Findings
from robot_stack.datasets.checks.moments import Moments, moments_of
from robot_stack.datasets.columns import DataPart, to_numpy
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, FeatureInfo, damaged_parquet, open_parquet

TIME_TOLERANCE_S = 1e-4
_BATCH_ROWS = 8192
_SAMPLE_ROWS = 100_000


@dataclass
class Measured:
    """What the rows of a dataset really are."""

    episodes: list[dict[str, Moments]] = field(default_factory=list)
    """Moments of each numeric feature in each episode; empty for episodes that could not be read."""

    samples: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Some rows of each numeric feature, evenly spread, to judge quantiles by."""

    success: list[bool | None] = field(default_factory=list)
    """Whether ``next.success`` is true in some row of the episode; ``None`` where that is not recorded."""

    complete: bool = True
    """Every committed row was read."""


def check_rows(
    root: Path, info: DatasetInfo, table: EpisodeTable, tasks: tuple[str, ...] | None, findings: Findings
) -> Measured:
    """Read every committed row; one finding for each damaged file, one for each kind of fault in a file."""
    measured = Measured([{} for _ in range(len(table))], {}, [None] * len(table))
    numeric = [feature for feature in info.features.values() if feature.is_numeric]
    stride = max(1, table.num_rows // _SAMPLE_ROWS)
    for part in _parts(root, info, table, measured, findings):
        try:
            faults = _Faults(part.path, findings)
            for first, arrays in _batches(part, numeric):
                rows = part.first_row + first
                _check_numbering(arrays, rows, first, info, table, faults)
                _check_values(arrays, numeric, first, tasks, faults)
                _measure(arrays, rows, table, measured, stride)
            faults.tell()
        except DatasetError as error:
            findings.add_error(error)
            measured.complete = False
    return measured


def _parts(
    root: Path, info: DatasetInfo, table: EpisodeTable, measured: Measured, findings: Findings
) -> Iterator[DataPart]:
    """The data files in row order, missing ones told and left out."""
    places = np.stack([table.data_chunk, table.data_file], axis=1) if len(table) else np.empty((0, 2), dtype=np.int64)
    seen: set[Path] = set()
    start = 0
    while start < len(places):
        stop = start + 1
        while stop < len(places) and (places[stop] == places[start]).all():
            stop += 1
        chunk, file = (int(n) for n in places[start])
        path = root / info.data_path.format(chunk_index=chunk, file_index=file)
        first = int(table.start[start])
        if path in seen:
            measured.complete = False
            findings.add("error", "the episodes of a data file do not follow one another", path, remedy=RESTORE)
        elif not path.is_file():
            measured.complete = False
            got = f"episodes {start} to {stop - 1} are in it"
            findings.add("error", "a data file is missing", path, got=got, remedy=RESTORE)
        else:
            yield DataPart(path, first, int(table.stop[stop - 1]) - first)
        seen.add(path)
        start = stop


def _batches(part: DataPart, features: list[FeatureInfo]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """First row within the file, and the numeric columns as arrays, batch by batch.

    Raises:
        DatasetError: naming the file, and the row where there is one.
    """
    with open_parquet(part.path) as probe:
        have, rows = probe.schema_arrow.names, probe.metadata.num_rows
    missing = [f.name for f in features if f.name not in have]
    if missing:
        raise DatasetError(
            "a data file lacks columns that info.json lists", where=part.path, got=have, expected=missing
        )
    if rows < part.rows:
        got, expected = f"{rows} rows", f"{part.rows} rows"
        message = "a data file holds fewer rows than the episode table says"
        raise DatasetError(message, where=part.path, got=got, expected=expected)
    done = 0
    try:
        with pq.ParquetFile(part.path, memory_map=True, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=[f.name for f in features], use_threads=False):
                batch = batch.slice(0, min(batch.num_rows, part.rows - done))
                if batch.num_rows:
                    yield done, {f.name: to_numpy(batch.column(f.name), f, part.path, done) for f in features}
                done += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise damaged_parquet(part.path, error) from error


class _Faults:
    """The first row of each kind of fault in one file, and how many there are."""

    def __init__(self, path: Path, findings: Findings) -> None:
        self._path, self._findings = path, findings
        self._first: dict[str, tuple[int, Any, Any]] = {}
        self._count: dict[str, int] = {}

    def note(self, message: str, wrong: Any, first: int, got: Any, expected: Any) -> None:
        """Remember rows of a batch where ``wrong`` is true; ``got`` and ``expected`` give a value for a row."""
        rows = np.flatnonzero(wrong)
        if not len(rows):
            return
        row = int(rows[0])
        self._first.setdefault(message, (first + row, got(row), expected(row)))
        self._count[message] = self._count.get(message, 0) + len(rows)

    def tell(self) -> None:
        """Turn what was remembered into findings."""
        for message, (row, got, expected) in self._first.items():
            more = f" (and {self._count[message] - 1} more rows)" if self._count[message] > 1 else ""
            self._findings.add("error", message + more, self._path, row=row, got=got, expected=expected, remedy=RESTORE)


def _check_numbering(
    arrays: dict[str, np.ndarray], row: int, first: int, info: DatasetInfo, table: EpisodeTable, faults: _Faults
) -> None:
    index = np.arange(row, row + len(next(iter(arrays.values()))))
    episode = np.searchsorted(table.start, index, side="right") - 1
    frame = index - table.start[episode]
    for name, expected in (("index", index), ("episode_index", episode), ("frame_index", frame)):
        if name in arrays:
            values = arrays[name]
            faults.note(
                f"{name} is wrong", values != expected, first, lambda i, v=values: v[i], lambda i, e=expected: e[i]
            )
    if "timestamp" in arrays and info.fps > 0:
        times, nominal = arrays["timestamp"].astype(np.float64), frame / info.fps
        allowed = TIME_TOLERANCE_S + np.spacing(nominal.astype(np.float32))
        wrong = ~(np.abs(times - nominal) <= allowed)
        faults.note("timestamp is not frame_index / fps", wrong, first, lambda i: times[i], lambda i: nominal[i])


def _check_values(
    arrays: dict[str, np.ndarray],
    features: list[FeatureInfo],
    first: int,
    tasks: tuple[str, ...] | None,
    faults: _Faults,
) -> None:
    for feature in features:
        values = arrays[feature.name]
        if values.dtype.kind == "f":
            wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            message = f"{feature.name!r} is not finite"
            faults.note(message, wrong, first, lambda i, v=values: v[i].tolist(), lambda i: "finite numbers")
    if tasks is not None and "task_index" in arrays:
        values = arrays["task_index"]
        wrong = np.logical_or(values < 0, values >= len(tasks))
        faults.note("task_index names no task", wrong, first, lambda i: values[i], lambda i: f"0 to {len(tasks) - 1}")


def _measure(arrays: dict[str, np.ndarray], row: int, table: EpisodeTable, measured: Measured, stride: int) -> None:
    rows = len(next(iter(arrays.values())))
    episode = int(np.searchsorted(table.start, row, side="right")) - 1
    done = 0
    while done < rows:
        stop = min(rows, int(table.stop[episode]) - row)
        entry = measured.episodes[episode]
        for name, values in arrays.items():
            piece = moments_of(values[done:stop])
            entry[name] = entry[name].merged(piece) if name in entry else piece
        if "next.success" in arrays:
            reached = bool(np.any(arrays["next.success"][done:stop]))
            measured.success[episode] = bool(measured.success[episode]) or reached
        done, episode = stop, episode + 1
    for name, values in arrays.items():
        measured.samples.setdefault(name, []).append(values[(-row) % stride :: stride].copy())
