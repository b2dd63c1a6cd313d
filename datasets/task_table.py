"""``meta/tasks.parquet``: the texts of the tasks, in a form that pandas (and LeRobot) read with the text as index."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.core.atomic import atomic_path
from robot_stack.datasets.layout import tasks_path


def write_tasks(root: Path, tasks: tuple[str, ...]) -> None:
    """Write the table atomically; the place of a text is its ``task_index``."""
    columns = {"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(list(tasks), pa.string())}
    described = [_described("task_index", "int64", "int64"), _described("task", "unicode", "object")]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [{**_described("", "unicode", "object"), "name": None, "field_name": None}],
        "columns": described,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    table = pa.table(columns).replace_schema_metadata({"pandas": json.dumps(pandas)})
    with atomic_path(tasks_path(root)) as temporary:
        pq.write_table(table, temporary)


def _described(name: str, pandas_type: str, numpy_type: str) -> dict[str, object]:
    return {
        "name": name,
        "field_name": name,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": None,
    }
