"""What a LeRobotDataset v3.0 folder says about itself: info.json, tasks.parquet and stats.json, checked on reading.

Format: LeRobotDataset v3.0 as written by huggingface/lerobot 0.4 and by robot_stack.datasets.writer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_stack.core.errors import DatasetError

READABLE_VERSION = "v3.0"
AUTOMATIC_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_BUFFER_BYTES = 1 << 20
_REPAIR = "restore the file from a copy, or run `robot-stack data repair` on a dataset recorded by robot_stack"


@dataclass(frozen=True)
class FeatureInfo:
    """One feature as info.json describes it."""

    name: str
    """Key of the feature, e.g. ``"observation.state"``."""

    dtype: str
    """NumPy type name, ``"bool"``, ``"string"``, ``"image"`` or ``"video"``."""

    shape: tuple[int, ...]
    """Shape of one frame's value; cameras are ``(height, width, channels)``."""

    names: Any = None
    """What the numbers are called, as stored: a list, a mapping, or nothing."""

    @property
    def is_camera(self) -> bool:
        """Images, stored as pictures in parquet or as video."""
        return self.dtype in ("image", "video")

    @property
    def is_numeric(self) -> bool:
        """Numbers or flags that live in a column."""
        return not self.is_camera and self.dtype != "string"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of a camera, also when the shape is stored channels first."""
        if len(self.shape) != 3:
            raise DatasetError(f"the camera {self.name!r} has no image shape", got=self.shape, expected="three numbers")
        names = self.names if isinstance(self.names, list) else []
        first = str(names[0]) if names else ""
        a, b, c = self.shape
        return (b, c, a) if first.startswith("channel") else (a, b, c)

    @property
    def numpy_dtype(self) -> np.dtype:
        """The NumPy type of one number."""
        return np.dtype(np.uint8) if self.is_camera else np.dtype(self.dtype)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the column: ``()`` for the automatic columns, else :attr:`shape`."""
        return () if self.name in AUTOMATIC_COLUMNS else self.shape


@dataclass(frozen=True)
class DatasetInfo:
    """The contents of ``meta/info.json``."""

    fps: float
    """Nominal rate [Hz]."""

    features: dict[str, FeatureInfo]
    """Every feature, the automatic columns included."""

    total_episodes: int
    """Committed episodes."""

    total_frames: int
    """Committed frames."""

    data_path: str
    """Pattern of the parquet files, with ``chunk_index`` and ``file_index``."""

    video_path: str
    """Pattern of the video files, with ``video_key`` as well; empty when there is none."""

    robot_type: str
    """Name of the robot, empty when not given."""

    raw: dict[str, Any]
    """The whole file, including keys this version does not know."""


def read_info(root: Path) -> DatasetInfo:
    """Read and check ``meta/info.json``.

    Args:
        root: folder of the dataset.

    Raises:
        DatasetError: if the folder is no dataset, the file is damaged, or the version is another one.
    """
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise _not_a_dataset(root, path)
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise DatasetError("info.json does not hold an object", where=path, got=type(raw).__name__, remedy=_REPAIR)
    _check_version(raw.get("codebase_version"), path)
    try:
        return DatasetInfo(
            fps=float(raw["fps"]),
            features={name: _feature(name, entry) for name, entry in raw["features"].items()},
            total_episodes=int(raw["total_episodes"]),
            total_frames=int(raw["total_frames"]),
            data_path=raw.get("data_path") or "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            video_path=raw.get("video_path") or "",
            robot_type=raw.get("robot_type") or "",
            raw=raw,
        )
    except KeyError as error:
        raise DatasetError(
            f"info.json lacks the key {error.args[0]!r}", where=path, got=sorted(raw), remedy=_REPAIR
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DatasetError("info.json holds an unusable value", where=path, got=str(error), remedy=_REPAIR) from error


def read_tasks(root: Path) -> tuple[str, ...]:
    """The task texts of ``meta/tasks.parquet``, at the place of their ``task_index``.

    Raises:
        DatasetError: if the file is missing, damaged, or its indices are not 0, 1, 2, …
    """
    path = root / "meta" / "tasks.parquet"
    table = read_parquet(path)
    texts = [name for name in table.column_names if name != "task_index"]
    if "task_index" not in table.column_names or not texts:
        raise DatasetError(
            "the table of tasks lacks a column",
            where=path,
            got=table.column_names,
            expected="task_index and the task's text",
            remedy=_REPAIR,
        )
    text_column = "task" if "task" in texts else texts[0]
    indices = table["task_index"].to_pylist()
    if sorted(indices) != list(range(len(indices))):
        raise DatasetError("the task indices are not 0, 1, 2, …", where=path, got=sorted(indices)[:20], remedy=_REPAIR)
    by_index = dict(zip(indices, table[text_column].to_pylist(), strict=True))
    return tuple(str(by_index[i]) for i in range(len(indices)))


def read_stats(root: Path) -> dict[str, dict[str, np.ndarray]]:
    """The statistics of ``meta/stats.json`` by feature and name (min, max, mean, std, count, q01, …).

    Empty when the dataset has no statistics.
    """
    path = root / "meta" / "stats.json"
    if not path.is_file():
        return {}
    stats = read_json(path)
    return {f: {name: np.asarray(value) for name, value in entries.items()} for f, entries in stats.items()}


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DatasetError: naming the file and the line where it stops being JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DatasetError("a JSON file is damaged", where=f"{path}, {place}", got=error.msg, remedy=_REPAIR) from error
    except UnicodeDecodeError as error:
        raise DatasetError("a JSON file is not text", where=path, got=str(error), remedy=_REPAIR) from error
    except OSError as error:
        raise DatasetError("a file of the dataset cannot be read", where=path, got=str(error)) from error


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file.

    Raises:
        DatasetError: if it is missing, cut short, or no parquet file.
    """
    try:
        return pq.ParquetFile(path, memory_map=False, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except FileNotFoundError as error:
        raise DatasetError("a file of the dataset is missing", where=path, remedy=_REPAIR) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged_parquet(path, error) from error


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a small parquet file, or some columns of it.

    Raises:
        DatasetError: if it is missing, cut short, or no parquet file.
    """
    file = open_parquet(path)
    try:
        with file:
            return file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged_parquet(path, error) from error


def read_batches(file: pq.ParquetFile, path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Read columns some rows at a time, so that memory does not grow with the file.

    Args:
        file: from :func:`open_parquet`.
        path: of the file, for messages.
        columns: which.
        rows: at most so many at once.

    Raises:
        DatasetError: if the file is damaged.
    """
    batches = file.iter_batches(rows, columns=columns, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged_parquet(path, error) from error
        if batch is None:
            return
        yield batch


def damaged_parquet(path: Path, error: Exception) -> DatasetError:
    """The error for a parquet file that cannot be read, with the likely cause."""
    size = path.stat().st_size if path.exists() else 0
    head = path.read_bytes()[:4] if size < 2**20 else b"PAR1"
    if size == 0:
        message = "a parquet file is empty"
    elif head != b"PAR1":
        message = "a file of the dataset is not a parquet file"
    else:
        message = "a parquet file is cut short or damaged"
    remedy = _REPAIR + "; if LeRobot was recording, its finalize() was not called and this file cannot be completed"
    return DatasetError(message, where=path, got=f"{size} bytes; {str(error).splitlines()[0]}", remedy=remedy)


def _feature(name: str, entry: dict[str, Any]) -> FeatureInfo:
    dtype = str(entry["dtype"])
    if dtype not in ("image", "video", "string"):
        np.dtype(dtype)
    return FeatureInfo(name, dtype, tuple(int(n) for n in entry["shape"]), entry.get("names"))


def _check_version(version: object, path: Path) -> None:
    if version == READABLE_VERSION:
        return
    remedy = "this reader knows v3.0; update robot_stack if the dataset is newer"
    if isinstance(version, str) and version.startswith("v2"):
        remedy = (
            "convert it with LeRobot: python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 --repo-id=<id> "
            "(v2.0 first needs LeRobot's v2.0 to v2.1 conversion)"
        )
    elif isinstance(version, str) and version.startswith("v1"):
        remedy = "datasets before v2.0 can only be converted with the LeRobot release that wrote them"
    raise DatasetError(
        "the dataset has another format version", where=path, got=version, expected=READABLE_VERSION, remedy=remedy
    )


def _not_a_dataset(root: Path, path: Path) -> DatasetError:
    if not root.exists():
        return DatasetError("there is no dataset here", where=root, remedy="check the path")
    if root.is_file():
        hint = "`robot-stack data import` reads robomimic HDF5 files" if root.suffix in (".hdf5", ".h5") else None
        return DatasetError("a dataset is a folder, this is a file", where=root, remedy=hint)
    if (root / "meta" / "episodes.jsonl").exists() or list(root.glob("data/**/episode_*.parquet"))[:1]:
        return DatasetError(
            "the folder looks like an older LeRobot dataset without info.json", where=root, remedy=_REPAIR
        )
    inside = sorted(entry.name for entry in root.iterdir())[:10]
    return DatasetError(
        "the folder is not a LeRobotDataset: meta/info.json is missing",
        where=path,
        got=f"a folder with {', '.join(inside) or 'nothing'} in it",
        remedy="give the folder that holds meta/, data/ and videos/",
    )
