"""Parquet files of rows: building them from arrays, joining several into one.

Types are LeRobot's: numbers as plain columns, vectors as fixed-size lists, pictures as ``{bytes, path}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.core.atomic import storage_errors
from robot_stack.core.errors import DatasetError
from robot_stack.datasets.metadata import FeatureInfo, damaged_parquet, open_parquet

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_PICTURES_PER_GROUP = 64
_ROWS_PER_GROUP = 65536


def arrow_schema(features: Mapping[str, FeatureInfo]) -> pa.Schema:
    """Columns of the data files, in the order of the features; video features have none."""
    return pa.schema([(f.name, _arrow_type(f)) for f in features.values() if f.dtype != "video"])


def _arrow_type(feature: FeatureInfo) -> pa.DataType:
    if feature.dtype == "image":
        return _PICTURE
    if feature.dtype == "string":
        return pa.string()
    kind = pa.bool_() if feature.dtype == "bool" else pa.from_numpy_dtype(feature.numpy_dtype)
    if feature.row_shape in ((), (1,)):
        return kind
    for size in reversed(feature.row_shape):
        kind = pa.list_(kind, size)
    return kind


def to_arrow(values: Any, feature: FeatureInfo) -> pa.Array:
    """One column.

    Args:
        values: array of shape ``(rows, *shape)`` or ``(rows,)``; for pictures and texts a sequence of bytes or texts.
        feature: what it is.
    """
    kind = _arrow_type(feature)
    if feature.dtype == "image":
        data = pa.array(list(values), pa.binary())
        return pa.StructArray.from_arrays([data, pa.nulls(len(data), pa.string())], fields=list(_PICTURE))
    if feature.dtype == "string":
        return pa.array(list(values), pa.string())
    array = np.ascontiguousarray(values, dtype=feature.numpy_dtype)
    flat: pa.Array = pa.array(array.reshape(-1))
    kinds = []
    while pa.types.is_fixed_size_list(kind):
        kinds.append(kind.list_size)
        kind = kind.value_type
    for size in reversed(kinds):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat


def write_rows(
    path: Path,
    features: Mapping[str, FeatureInfo],
    columns: Mapping[str, np.ndarray],
    pictures: Mapping[str, Sequence[bytes]],
) -> None:
    """Write one data file, a group of rows at a time.

    Args:
        path: a temporary path; see :func:`robot_stack.core.atomic.atomic_path`.
        features: of the dataset.
        columns: every number and text column, by feature.
        pictures: encoded pictures of every image feature, read when they are needed.
    """
    schema = arrow_schema(features)
    rows = len(columns["index"])
    step = _PICTURES_PER_GROUP if pictures else _ROWS_PER_GROUP
    with pq.ParquetWriter(path, schema, **_options(schema)) as writer:
        for start in range(0, rows, step):
            stop = min(rows, start + step)
            arrays = []
            for name in schema.names:
                source = pictures[name] if name in pictures else columns[name]
                arrays.append(to_arrow(source[start:stop], features[name]))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def join_rows(parts: Sequence[tuple[Path, int]], target: Path) -> None:
    """Write the first rows of several data files one after another, with bounded memory.

    Args:
        parts: files, and how many rows of each.
        target: the new file, a temporary path.

    Raises:
        DatasetError: if a file is damaged, shorter, or has other columns than the first.
    """
    with open_parquet(parts[0][0]) as first:
        schema = first.schema_arrow
    pictures = any(pa.types.is_struct(kind) for kind in schema.types)
    with pq.ParquetWriter(target, schema, **_options(schema)) as writer:
        waiting: list[pa.RecordBatch] = []
        limit = _PICTURES_PER_GROUP if pictures else _ROWS_PER_GROUP
        for path, rows in parts:
            for batch in _batches(path, rows, schema, limit):
                waiting.append(batch)
                if sum(b.num_rows for b in waiting) >= limit:
                    writer.write_table(pa.Table.from_batches(waiting, schema))
                    waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema))


def _batches(path: Path, rows: int, schema: pa.Schema, size: int) -> Iterator[pa.RecordBatch]:
    done = 0
    with open_parquet(path) as file:
        if not file.schema_arrow.equals(schema):
            raise DatasetError(
                "data files with different columns cannot be joined",
                where=path,
                got=file.schema_arrow.names,
                expected=schema.names,
            )
        try:
            for batch in file.iter_batches(size, use_threads=False):
                batch = batch.slice(0, min(batch.num_rows, rows - done))
                if batch.num_rows:
                    yield batch
                done += batch.num_rows
                if done == rows:
                    return
        except (pa.ArrowException, OSError) as error:
            with storage_errors(path):
                raise damaged_parquet(path, error) from error
    raise DatasetError("a data file holds fewer rows than the episode table says", where=path, got=done, expected=rows)


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Small codes for columns that repeat, plain values for those that do not; checksums so that damage is found."""
    repeating = [n for n in ("episode_index", "task_index", "next.success", "next.done") if n in schema.names]
    return {"compression": "snappy", "use_dictionary": repeating, "write_page_checksum": True}
