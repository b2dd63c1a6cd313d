"""Data files that are filled one after another with tables of rows, each up to a size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.datasets.data_file import arrow_schema
from robot_stack.datasets.layout import DATA_FILE_MB, FILES_PER_CHUNK, Place, data_path
from robot_stack.datasets.metadata import DatasetInfo

_GROUP_BYTES = 4 << 20
_REPEATING = ("episode_index", "task_index", "next.success", "next.done")


class RowFiles:
    """Writes rows to ``data/chunk-000/file-000.parquet`` and on, as large as ``info`` says.

    Args:
        root: folder of the new dataset; nobody else may write there.
        info: whose features, file pattern and file size to use.
    """

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self.schema: pa.Schema = arrow_schema(info.features)
        """Columns of every table."""
        self._root, self._info = root, info
        self._limit = int(info.raw.get("data_files_size_in_mb") or DATA_FILE_MB) * 2**20
        self._place = Place(0, 0)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._bytes = self._waiting_bytes = 0

    def add(self, rows: pa.Table) -> Place:
        """Append rows that belong together; returns the file they are in."""
        if self._writer is not None and self._bytes + rows.nbytes > self._limit:
            self.close()
            self._place, self._bytes = self._place.next(files_per_chunk(self._info)), 0
        if self._writer is None:
            path = data_path(self._root, self._place, self._info.data_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, self.schema, **self._options())
        self._waiting.append(rows)
        self._bytes += rows.nbytes
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= _GROUP_BYTES:
            self._flush()
        return self._place

    def close(self) -> None:
        """Finish the file under way; idempotent."""
        if self._writer is not None:
            self._flush()
            self._writer.close()
            self._writer = None

    def _options(self) -> dict[str, Any]:
        repeating = [name for name in _REPEATING if name in self.schema.names]
        return {"compression": "snappy", "use_dictionary": repeating, "write_page_checksum": True}

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
            self._waiting, self._waiting_bytes = [], 0


def files_per_chunk(info: DatasetInfo) -> int:
    """How many files a folder of the dataset holds."""
    return int(info.raw.get("chunks_size") or FILES_PER_CHUNK)
