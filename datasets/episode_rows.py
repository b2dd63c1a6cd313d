"""Rows of the table of episodes, as they are written to ``meta/episodes``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import DatasetError
from robot_stack.datasets.layout import Place, episodes_path
from robot_stack.datasets.metadata import read_parquet
from robot_stack.datasets.stats import NAMES, Stats

_CHUNK, _FILE = "meta/episodes/chunk_index", "meta/episodes/file_index"


@dataclass(frozen=True)
class VideoSpan:
    """Where an episode lies in the videos of one camera."""

    place: Place
    """The file."""

    begin_s: float
    """Time of the first frame in the file [s]."""

    end_s: float
    """Time after the last frame [s]."""


@dataclass(frozen=True, eq=False)
class EpisodeRow:
    """One committed episode."""

    episode: int
    """Its number."""

    tasks: tuple[str, ...]
    """What was to be done."""

    start: int
    """Row of the dataset at which it begins."""

    length: int
    """Frames."""

    data: Place
    """The data file."""

    videos: Mapping[str, VideoSpan]
    """By video feature."""

    stats: Stats
    """Of its frames."""

    provenance: str
    """JSON text: where it came from and how it ended."""

    extra: Mapping[str, pa.Array] = field(default_factory=dict)
    """More columns, one value each."""

    def table(self) -> pa.Table:
        """A table of one row; it names the first file of the table until :func:`placed` is asked."""
        columns: dict[str, pa.Array] = {
            "episode_index": pa.array([self.episode], pa.int64()),
            "tasks": pa.array([list(self.tasks)], pa.list_(pa.string())),
            "length": pa.array([self.length], pa.int64()),
            "data/chunk_index": pa.array([self.data.chunk], pa.int64()),
            "data/file_index": pa.array([self.data.file], pa.int64()),
            "dataset_from_index": pa.array([self.start], pa.int64()),
            "dataset_to_index": pa.array([self.start + self.length], pa.int64()),
        }
        for key, span in self.videos.items():
            columns[f"videos/{key}/chunk_index"] = pa.array([span.place.chunk], pa.int64())
            columns[f"videos/{key}/file_index"] = pa.array([span.place.file], pa.int64())
            columns[f"videos/{key}/from_timestamp"] = pa.array([span.begin_s], pa.float64())
            columns[f"videos/{key}/to_timestamp"] = pa.array([span.end_s], pa.float64())
        for feature, entry in self.stats.items():
            for name in NAMES:
                columns[f"stats/{feature}/{name}"] = _nested(np.asarray(entry[name]))
        columns[_CHUNK] = pa.array([0], pa.int64())
        columns[_FILE] = pa.array([0], pa.int64())
        columns["provenance"] = pa.array([self.provenance], pa.string())
        columns.update(self.extra)
        return pa.table(columns)


def provenance_text(facts: Mapping[str, Any]) -> str:
    """Facts about an episode as JSON text.

    Raises:
        DatasetError: if they are not plain data.
    """
    try:
        return json.dumps(facts, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            "the provenance of an episode must be plain data", got=str(error), expected="texts, numbers, lists, objects"
        ) from error


def write_episodes(root: Path, place: Place, table: pa.Table) -> None:
    """Write one file of the table, atomically and durably."""
    with atomic_path(episodes_path(root, place)) as temporary:
        pq.write_table(
            placed(table, place), temporary, compression="snappy", use_dictionary=False, write_page_checksum=True
        )


def read_rows(root: Path, place: Place) -> pa.Table:
    """All rows of one file of the table, every column."""
    return read_parquet(episodes_path(root, place))


def join_tables(parts: list[pa.Table]) -> pa.Table:
    """Rows one after another; a column that a part lacks is empty there."""
    return pa.concat_tables(parts, promote_options="default").combine_chunks()


def placed(table: pa.Table, place: Place) -> pa.Table:
    """The rows, saying that they are in this file of the table."""
    return with_column(with_column(table, _CHUNK, [place.chunk]), _FILE, [place.file])


def with_column(table: pa.Table, name: str, values: list[Any] | np.ndarray) -> pa.Table:
    """The rows with other values in one column; a single value is repeated."""
    kind = table.schema.field(name).type
    if len(values) == 1:
        values = list(values) * table.num_rows
    return table.set_column(table.schema.get_field_index(name), pa.field(name, kind), pa.array(values, kind))


def stacked_stats(table: pa.Table) -> Stats:
    """The statistics of many episodes by feature and name, one row an episode: shape ``(episodes, *shape)``."""
    out: Stats = {}
    for column in table.column_names:
        if column.startswith("stats/"):
            feature, _, name = column.removeprefix("stats/").rpartition("/")
            out.setdefault(feature, {})[name] = _stacked(table[column].combine_chunks())
    return out


def _stacked(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    flat: pa.Array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    shape = [len(flat)]
    while pa.types.is_nested(flat.type):
        before = len(flat)
        flat = flat.flatten()
        shape.append(len(flat) // max(before, 1))
    return flat.to_numpy(zero_copy_only=False).reshape(shape)


def _nested(value: np.ndarray) -> pa.Array:
    """An array of one value: nested lists as deep as the array has axes."""
    kind = pa.int64() if value.dtype.kind in "iu" else pa.float64()
    for _ in range(value.ndim):
        kind = pa.list_(kind)
    return pa.array([value.tolist()], kind)
