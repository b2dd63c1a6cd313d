"""Columns of a dataset as plain arrays on disk: parquet decoded once, in chunks, then gathered by row.

Memory stays flat however large the dataset is: decoding holds one batch of rows, and large arrays are read by row.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from robot_stack.core.errors import DatasetError, StorageError
from robot_stack.datasets.cache_store import ArrayFile, Inherited, describe_source, open_generation
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, FeatureInfo, open_parquet, read_batches

_FORMAT = 1
_BATCH_ROWS = 8192
_MAPPED_BYTES = 64 << 20
_REMEDY = "run `robot-stack data validate` for a full list; restore the file from a copy or delete the episodes in it"


@dataclass(frozen=True)
class DataPart:
    """One parquet file and the rows of the dataset it holds."""

    path: Path
    """The file."""

    first_row: int
    """Row of the dataset that is its first row."""

    rows: int
    """Committed rows in it; the file may hold more while it is being written."""


class Column:
    """One array on disk with a row for each frame of the dataset, or several.

    Rows of a small array are taken from a memory map. Of a large one they are read from the file: a map would make
    every page ever touched, or the megabytes around it, part of this process's memory.

    Args:
        path: a ``.npy`` file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            self._data_offset = file.tell()
        self.path = path
        self.shape: tuple[int, ...] = shape
        """``(rows, *row_shape)``."""
        self.dtype: np.dtype = dtype
        """Type of the numbers."""
        self._row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        self._descriptor: int | None = None
        if shape[0] * self._row_bytes > _MAPPED_BYTES:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.array: np.ndarray = _mapped(path)
        """Read-only view of all rows, memory-mapped, shape ``(rows, *row_shape)``."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copy rows.

        Args:
            rows: integer rows of any shape ``(...,)``; rows along the last of several axes should lie close together.

        Returns:
            Array of shape ``(..., *row_shape)``.
        """
        if self._descriptor is None:
            return self.array.take(rows, axis=0)
        if rows.size and (rows.min() < 0 or rows.max() >= self.shape[0]):
            raise IndexError(f"row {int(rows.min())} to {int(rows.max())} of {self.shape[0]}")
        runs = rows.reshape(-1, rows.shape[-1] if rows.ndim > 1 else 1)
        return self._read_runs(self._descriptor, runs).reshape(*rows.shape, *self.shape[1:])

    def slice(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start … stop - 1``: a view of a small array, a copy of those rows of a large one.

        Go through all rows with this rather than with :attr:`array`, and memory does not grow with the dataset.
        """
        if self._descriptor is None:
            return self.array[start:stop]
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        rows = np.arange(start, max(start, stop))
        return self._read_runs(self._descriptor, rows[None])[0] if len(rows) else self.array[:0]

    def __del__(self) -> None:
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def _read_runs(self, descriptor: int, runs: np.ndarray) -> np.ndarray:
        """Read each run of rows, shape ``(n, t)``, with one call; the result has shape ``(n, t, *row_shape)``."""
        if not runs.size:
            return np.empty((*runs.shape, *self.shape[1:]), dtype=self.dtype)
        first = runs.min(axis=1)
        span = int((runs.max(axis=1) - first).max()) + 1
        first = np.minimum(first, max(self.shape[0] - span, 0))
        out = np.empty((len(runs), span, *self.shape[1:]), dtype=self.dtype)
        target, size, at = out.reshape(-1).view(np.uint8).data, span * self._row_bytes, 0
        for begin in (first * self._row_bytes + self._data_offset).tolist():
            if os.preadv(descriptor, [target[at : at + size]], begin) != size:
                raise StorageError(
                    "a cache file is cut short", where=self.path, remedy="delete the cache and try again"
                )
            at += size
        steps = runs - first[:, None]
        if span == runs.shape[1] and (steps == np.arange(span)).all():
            return out
        return out[np.arange(len(runs))[:, None], steps]


def _mapped(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except ValueError:  # nothing can be mapped of an array without rows
        array = np.load(path)
    array.flags.writeable = False
    return array.view(np.ndarray)


def data_parts(root: Path, info: DatasetInfo, episodes: EpisodeTable) -> tuple[DataPart, ...]:
    """The parquet files that hold the committed rows, in row order.

    Raises:
        DatasetError: if a file's episodes do not follow one another.
    """
    if not len(episodes):
        return ()
    places = np.stack([episodes.data_chunk, episodes.data_file], axis=1)
    first = np.flatnonzero(np.concatenate([[True], (places[1:] != places[:-1]).any(axis=1)]))
    last = np.concatenate([first[1:], [len(places)]]) - 1
    parts = []
    for a, b in zip(first, last, strict=True):
        path = root / info.data_path.format(chunk_index=int(places[a, 0]), file_index=int(places[a, 1]))
        start = int(episodes.start[a])
        parts.append(DataPart(path, start, int(episodes.stop[b]) - start))
    paths = [part.path for part in parts]
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise DatasetError("the episodes of a data file do not follow one another", where=twice, remedy=_REMEDY)
    for path in paths:
        if not path.is_file():
            raise DatasetError("a data file is missing", where=path, remedy=_REMEDY)
    return tuple(parts)


def open_columns(root: Path, home: Path, features: list[FeatureInfo], parts: tuple[DataPart, ...]) -> dict[str, Column]:
    """Memory-mapped columns of the numeric features, decoded now if no cache has them.

    Args:
        root: folder of the dataset.
        home: folder for caches.
        features: numeric features.
        parts: from :func:`data_parts`.

    Raises:
        DatasetError: if a file is damaged or its rows are not what the episode table says.
        StorageError: if the cache cannot be written.
    """
    layout = json.dumps([_FORMAT, [[f.name, f.numpy_dtype.str, f.row_shape] for f in features]])
    sources = [describe_source(root, part.path, part.rows, str(part.first_row)) for part in parts]

    def build(folder: Path, inherited: Inherited | None) -> None:
        _decode_all(folder, features, parts, inherited)

    for attempt in range(3):
        folder = open_generation(home / "columns", layout, root, sources, build)
        try:
            return {f.name: Column(folder / column_file(i)) for i, f in enumerate(features)}
        except FileNotFoundError:
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def column_file(index: int) -> str:
    """Name of the file of the ``index``-th feature of a layout (feature names may hold any character)."""
    return f"column-{index:04d}.npy"


def _decode_all(
    folder: Path, features: list[FeatureInfo], parts: tuple[DataPart, ...], inherited: Inherited | None
) -> None:
    files = [ArrayFile(folder / column_file(i), f.numpy_dtype, f.row_shape) for i, f in enumerate(features)]
    try:
        if inherited is not None:
            for i, file in enumerate(files):
                file.copy_rows(inherited.folder / column_file(i), inherited.rows)
        for part in parts[inherited.files if inherited else 0 :]:
            _decode_part(part, features, files)
    finally:
        for file in files:
            file.close()


def _decode_part(part: DataPart, features: list[FeatureInfo], files: list[ArrayFile]) -> None:
    names = [f.name for f in features]
    done = 0
    with open_parquet(part.path) as parquet:
        missing = [name for name in names if name not in parquet.schema_arrow.names]
        if missing:
            raise DatasetError(
                "a data file lacks columns that info.json lists",
                where=part.path,
                got=parquet.schema_arrow.names,
                expected=missing,
                remedy=_REMEDY,
            )
        if parquet.metadata.num_rows < part.rows:
            raise DatasetError(
                "a data file holds fewer rows than the episode table says",
                where=part.path,
                got=f"{parquet.metadata.num_rows} rows",
                expected=f"{part.rows} rows",
                remedy=_REMEDY,
            )
        for batch in read_batches(parquet, part.path, names, _BATCH_ROWS):
            batch = batch.slice(0, min(batch.num_rows, part.rows - done))
            if not batch.num_rows:
                break
            for feature, file in zip(features, files, strict=True):
                column = batch.column(batch.schema.get_field_index(feature.name))
                values = to_numpy(column, feature, part.path, done)
                if feature.name == "index":
                    _check_index(values, part, done)
                file.append(values)
            done += batch.num_rows


def to_numpy(column: pa.Array, feature: FeatureInfo, path: Path, first: int) -> np.ndarray:
    """One batch of a parquet column as an array of shape ``(n, *row_shape)``.

    Args:
        column: the column; numbers or lists, nested as deep as the feature has axes.
        feature: what it should be.
        path: the file, for messages.
        first: row of the file at which the batch begins, for messages.

    Raises:
        DatasetError: naming the file and the row that is empty, has another size, or another type.
    """
    flat: pa.Array = column.storage if isinstance(column, pa.ExtensionArray) else column
    if flat.null_count:
        row = first + int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
        raise _wrong_row(feature, path, row, "no value")
    while pa.types.is_nested(flat.type):
        flat = flat.flatten()
    size = int(np.prod(feature.row_shape, dtype=np.int64))
    if len(flat) != len(column) * size or flat.null_count:
        raise _wrong_row(feature, path, *_find_row(column, feature, first))
    try:
        values = flat.to_numpy(zero_copy_only=False)
        return values.astype(feature.numpy_dtype, casting="same_kind", copy=False).reshape(-1, *feature.row_shape)
    except TypeError as error:
        raise DatasetError(
            f"the column {feature.name!r} has another type than info.json says",
            where=path,
            got=str(column.type),
            expected=feature.dtype,
            remedy=_REMEDY,
        ) from error


def _find_row(column: pa.Array, feature: FeatureInfo, first: int) -> tuple[int, str]:
    for i, value in enumerate(column.to_pylist()):
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            return first + i, "a ragged or partly empty value"
        if array.shape != feature.row_shape or (np.isnan(array).any() and "None" in repr(value)):
            return first + i, f"a value of shape {array.shape}"
    return first, "values that do not fit the shape"


def _wrong_row(feature: FeatureInfo, path: Path, row: int, got: str) -> DatasetError:
    return DatasetError(
        f"a value of {feature.name!r} does not fit its feature",
        where=f"{path}, row {row}",
        got=got,
        expected=f"{feature.dtype} of shape {feature.row_shape}",
        remedy=_REMEDY,
    )


def _check_index(values: np.ndarray, part: DataPart, done: int) -> None:
    expected = np.arange(part.first_row + done, part.first_row + done + len(values))
    wrong = np.flatnonzero(values != expected)
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            "the rows of a data file are not where the episode table says",
            where=f"{part.path}, row {done + row}",
            got=f"index {values[row]}",
            expected=f"index {expected[row]}",
            remedy=_REMEDY,
        )
