"""The table of episodes: where each one lies in the data and video files, and what else was noted about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_stack.core.errors import DatasetError, UnknownNameError
from robot_stack.datasets.metadata import DatasetInfo, open_parquet, read_parquet

_REMEDY = "run `robot-stack data validate` for a full list, and `robot-stack data repair` if robot_stack recorded it"
_UNFINISHED = (
    "the recorder ended before writing its episode table: run `robot-stack data repair` if robot_stack recorded it; "
    "LeRobot loses these episodes when finalize() was not called"
)

_ATTEMPTS = 5


@dataclass(frozen=True)
class VideoPlace:
    """Where the frames of every episode lie in the video files of one camera; arrays of shape ``(episodes,)``."""

    chunk: np.ndarray
    """Chunk index of the file."""

    file: np.ndarray
    """File index within the chunk."""

    from_timestamp: np.ndarray
    """Time in the file at which the episode begins [s]."""


@dataclass(frozen=True)
class EpisodeTable:
    """Committed episodes, one row each; arrays of shape ``(episodes,)``."""

    root: Path
    """Folder of the dataset."""

    length: np.ndarray
    """Frames of the episode."""

    start: np.ndarray
    """Row of the dataset at which the episode begins."""

    data_chunk: np.ndarray
    """Chunk index of the parquet file that holds the rows."""

    data_file: np.ndarray
    """File index within the chunk."""

    videos: dict[str, VideoPlace]
    """By video feature."""

    files: tuple[Path, ...]
    """The parquet files of the table, in order."""

    column_names: tuple[str, ...]
    """Every column that :meth:`column` gives, statistics and extra provenance included."""

    def __len__(self) -> int:
        return len(self.length)

    @property
    def stop(self) -> np.ndarray:
        """Row of the dataset after the last of each episode, shape ``(episodes,)``."""
        return self.start + self.length

    @property
    def num_rows(self) -> int:
        """Frames of all episodes together."""
        return int(self.length.sum())

    def same_places(self, other: EpisodeTable) -> bool:
        """Whether the rows and frames of the episodes lie in the same files at the same places."""
        mine, theirs = self._places(), other._places()
        return len(mine) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def _places(self) -> list[np.ndarray]:
        out = [self.length, self.data_chunk, self.data_file]
        for place in self.videos.values():
            out += [place.chunk, place.file, place.from_timestamp]
        return out

    def column(self, name: str) -> list[Any]:
        """One value an episode of any column of the table, as plain Python values.

        Args:
            name: for example ``"tasks"``, ``"stats/action/mean"`` or a provenance column of the recorder.
                Episodes recorded before the column existed give ``None``.

        Raises:
            UnknownNameError: if no file of the table has the column.
        """
        if name not in self.column_names:
            raise UnknownNameError("episode column", name, self.column_names, where=self.root / "meta" / "episodes")
        values: list[Any] = []
        for path in self.files:
            with open_parquet(path) as file:
                rows, present = file.metadata.num_rows, name in file.schema_arrow.names
            values += read_parquet(path, [name])[name].to_pylist() if present else [None] * rows
        return values[: len(self)]

    def row(self, episode: int) -> dict[str, Any]:
        """Everything noted about one episode, statistics left out."""
        names = [n for n in self.column_names if not n.startswith("stats/")]
        return {name: self.column(name)[episode] for name in names}


def read_episodes(root: Path, info: DatasetInfo) -> EpisodeTable:
    """Read the episodes that ``info`` says are committed; rows beyond them belong to a recording under way.

    Args:
        root: folder of the dataset.
        info: what ``meta/info.json`` says.

    Raises:
        DatasetError: if rows are missing, damaged, or do not follow one another.
    """
    for _ in range(_ATTEMPTS):
        before = _listing(root)
        try:
            return _read_episodes(root, info)
        except DatasetError:
            if _listing(root) == before:  # else a writer replaced files meanwhile
                raise
    return _read_episodes(root, info)


def _listing(root: Path) -> list[tuple[Path, int, int]]:
    out = []
    for path in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        try:
            status = path.stat()
            out.append((path, status.st_ino, status.st_mtime_ns))
        except FileNotFoundError:
            continue
    return out


def _read_episodes(root: Path, info: DatasetInfo) -> EpisodeTable:
    files = tuple(sorted((root / "meta" / "episodes").glob("*/*.parquet")))
    video_keys = [name for name, feature in info.features.items() if feature.dtype == "video"]
    wanted = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    wanted += [f"videos/{k}/{part}" for k in video_keys for part in ("chunk_index", "file_index", "from_timestamp")]
    tables, names = [], {}
    for path in files:
        with open_parquet(path) as file:
            present = file.schema_arrow.names
        missing = [name for name in wanted if name not in present]
        if missing:
            raise DatasetError("the episode table lacks columns", where=path, got=missing, remedy=_REMEDY)
        tables.append(read_parquet(path, wanted))
        names.update(dict.fromkeys(present))
    columns = _to_arrays(tables, wanted, info.total_episodes)
    _check_rows(columns["episode_index"], columns["length"], root, info, files, tables)
    length = columns["length"]
    return EpisodeTable(
        root=root,
        length=length,
        start=np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.int64) if len(length) else length,
        data_chunk=columns["data/chunk_index"],
        data_file=columns["data/file_index"],
        videos={
            key: VideoPlace(
                columns[f"videos/{key}/chunk_index"],
                columns[f"videos/{key}/file_index"],
                columns[f"videos/{key}/from_timestamp"],
            )
            for key in video_keys
        },
        files=files,
        column_names=tuple(names),
    )


def _to_arrays(tables: list[pa.Table], wanted: list[str], count: int) -> dict[str, np.ndarray]:
    arrays = {}
    for name in wanted:
        dtype = np.float64 if name.endswith("timestamp") else np.int64
        parts = [table[name].to_numpy().astype(dtype) for table in tables]
        arrays[name] = np.concatenate(parts)[:count] if parts else np.empty(0, dtype=dtype)
    return arrays


def _check_rows(
    index: np.ndarray,
    length: np.ndarray,
    root: Path,
    info: DatasetInfo,
    files: tuple[Path, ...],
    tables: list[pa.Table],
) -> None:
    folder = root / "meta" / "episodes"
    if len(index) < info.total_episodes:
        raise DatasetError(
            "the episode table ends before the last committed episode",
            where=files[-1] if files else folder,
            got=f"{len(index)} episodes",
            expected=f"{info.total_episodes} as meta/info.json says",
            remedy=_UNFINISHED,
        )
    wrong = np.flatnonzero((index != np.arange(len(index))) | (length < 1))
    if len(wrong):
        path, row = _locate(int(wrong[0]), files, tables)
        raise DatasetError(
            "an episode is out of order or has no frames",
            where=f"{path}, row {row}",
            got=f"episode_index {index[wrong[0]]}, length {length[wrong[0]]}",
            expected=f"episode_index {wrong[0]}, length >= 1",
            remedy=_REMEDY,
        )
    if int(length.sum()) != info.total_frames:
        raise DatasetError(
            "the episode lengths do not add up to the frames in info.json",
            where=folder,
            got=int(length.sum()),
            expected=info.total_frames,
            remedy=_REMEDY,
        )


def _locate(row: int, files: tuple[Path, ...], tables: list[pa.Table]) -> tuple[Path, int]:
    for path, table in zip(files, tables, strict=True):
        if row < table.num_rows:
            return path, row
        row -= table.num_rows
    return files[-1], row
