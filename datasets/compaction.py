"""Joins the small files that commits make into files of the sizes that info.json asks for, safely at every instant.

Consecutive files are joined by making the first of them longer: its rows (packets, for videos) stay where they are, and
those of the following files come after them, in a new file that takes its name. The old table stays true meanwhile,
because readers take only the rows that it names. Then the table is switched by one rename: its rows say where
everything lies now. Only then are the other files removed. Whatever an interruption leaves is cleared away by
:mod:`robot_stack.datasets.repair`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from robot_stack.core.atomic import atomic_path
from robot_stack.datasets import layout
from robot_stack.datasets.data_file import join_rows
from robot_stack.datasets.episode_rows import join_tables, read_rows, with_column, write_episodes
from robot_stack.datasets.episodes import EpisodeTable, VideoPlace, read_episodes
from robot_stack.datasets.layout import Place
from robot_stack.datasets.metadata import DatasetInfo, open_parquet, read_info
from robot_stack.datasets.schema import frame_rate
from robot_stack.datasets.video_writer import join_videos, stream_signature

_MB = 1 << 20


@dataclass(frozen=True)
class _Piece:
    """One file and the episodes in it."""

    place: Place
    path: Path
    episodes: range
    amount: int  # rows or frames in use
    size: int  # bytes


def compact(root: Path, *, quick: bool = False) -> int:
    """Join small files. The caller holds the dataset's lock.

    Args:
        root: folder of the dataset.
        quick: stop at an eighth of the sizes that info.json asks for, to bound the work while recording.

    Returns:
        How many files fewer there are.

    Raises:
        StorageError: if the file system refuses; the dataset is as it was.
    """
    info = read_info(root)
    table = read_episodes(root, info)
    if not len(table):
        return 0
    share = 8 if quick else 1
    data_limit = int(info.raw.get("data_files_size_in_mb") or layout.DATA_FILE_MB) * _MB // share
    video_limit = int(info.raw.get("video_files_size_in_mb") or layout.VIDEO_FILE_MB) * _MB // share
    changes: dict[str, np.ndarray] = {}
    superseded = _compact_data(root, info, table, data_limit, changes)
    for key, place in table.videos.items():
        superseded += _compact_videos(root, info, table, key, place, video_limit, changes)
    first = _first_change(table, changes)
    superseded += _switch_table(root, table, changes, first, quick=quick)
    for path in superseded:
        path.unlink(missing_ok=True)
    return len(superseded)


def _compact_data(
    root: Path, info: DatasetInfo, table: EpisodeTable, limit: int, changes: dict[str, np.ndarray]
) -> list[Path]:
    pieces = _pieces(
        table.data_chunk, table.data_file, table.length, lambda p: layout.data_path(root, p, info.data_path)
    )
    chunk, file = table.data_chunk.copy(), table.data_file.copy()
    superseded = []
    for group in _groups(pieces, limit, same=lambda a, b: True):
        with atomic_path(group[0].path) as temporary:
            join_rows([(piece.path, piece.amount) for piece in group], temporary)
        for piece in group[1:]:
            mine = slice(piece.episodes.start, piece.episodes.stop)
            chunk[mine], file[mine] = group[0].place.chunk, group[0].place.file
            superseded.append(piece.path)
    changes["data/chunk_index"], changes["data/file_index"] = chunk, file
    return superseded


def _compact_videos(
    root: Path,
    info: DatasetInfo,
    table: EpisodeTable,
    key: str,
    place: VideoPlace,
    limit: int,
    changes: dict[str, np.ndarray],
) -> list[Path]:
    fps = frame_rate(info.fps)
    ends = np.round((place.from_timestamp + table.length / float(fps)) * float(fps)).astype(np.int64)
    pieces = _pieces(
        place.chunk, place.file, table.length, lambda p: layout.video_path(root, key, p, info.video_path), ends
    )
    chunk, file, begin = place.chunk.copy(), place.file.copy(), place.from_timestamp.copy()
    superseded = []
    signatures = {p.path: stream_signature(p.path) for p in pieces} if len(pieces) > 1 else {}
    for group in _groups(pieces, limit, same=lambda a, b: signatures[a.path] == signatures[b.path]):
        with atomic_path(group[0].path) as temporary:
            join_videos([(piece.path, piece.amount) for piece in group], temporary, fps)
        done = group[0].amount
        for piece in group[1:]:
            mine = slice(piece.episodes.start, piece.episodes.stop)
            chunk[mine], file[mine] = group[0].place.chunk, group[0].place.file
            begin[mine] += done / float(fps)
            done += piece.amount
            superseded.append(piece.path)
    changes[f"videos/{key}/chunk_index"], changes[f"videos/{key}/file_index"] = chunk, file
    changes[f"videos/{key}/from_timestamp"] = begin
    changes[f"videos/{key}/to_timestamp"] = _end_times(begin, table.length, fps)
    return superseded


def _end_times(begin: np.ndarray, length: np.ndarray, fps: Fraction) -> np.ndarray:
    return np.round(begin * float(fps) + length) / float(fps)


def _pieces(
    chunk: np.ndarray,
    file: np.ndarray,
    length: np.ndarray,
    path_of: Callable[[Place], Path],
    ends: np.ndarray | None = None,
) -> list[_Piece]:
    """Files in the order of their episodes. ``ends`` gives the frames of the file up to each episode's end."""
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(chunk) != 0) | (np.diff(file) != 0)]))
    pieces = []
    for a, b in zip(starts, [*starts[1:], len(chunk)], strict=True):
        place = Place(int(chunk[a]), int(file[a]))
        amount = int(length[a:b].sum()) if ends is None else int(ends[a:b].max())
        path = path_of(place)
        pieces.append(_Piece(place, path, range(int(a), int(b)), amount, path.stat().st_size))
    return pieces


def _groups(pieces: list[_Piece], limit: int, *, same: Callable[[_Piece, _Piece], bool]) -> list[list[_Piece]]:
    """Runs of neighbours that fit one file, of two pieces at least."""
    groups: list[list[_Piece]] = []
    seen: set[Place] = set()
    current: list[_Piece] = []
    for piece in pieces:
        fits = current and sum(p.size for p in current) + piece.size <= limit and same(current[0], piece)
        if piece.place in seen:  # a file that was not written in order: leave it alone
            fits = False
        if not fits:
            groups.append(current)
            current = []
        current.append(piece)
        seen.add(piece.place)
    groups.append(current)
    counts = [p.place for p in pieces]
    return [g for g in groups if len(g) > 1 and all(counts.count(p.place) == 1 for p in g)]


def _first_change(table: EpisodeTable, changes: dict[str, np.ndarray]) -> int:
    """The first episode that lies elsewhere now; the number of episodes when none does."""
    now = {"data/chunk_index": table.data_chunk, "data/file_index": table.data_file}
    for key, place in table.videos.items():
        now[f"videos/{key}/chunk_index"], now[f"videos/{key}/file_index"] = place.chunk, place.file
    moved = np.zeros(len(table), dtype=bool)
    for name, values in now.items():
        moved |= changes[name] != values
    return int(np.argmax(moved)) if moved.any() else len(table)


def _switch_table(
    root: Path, table: EpisodeTable, changes: dict[str, np.ndarray], first: int, *, quick: bool
) -> list[Path]:
    """Replace the tail of the table by one file with the new places; returns the files that are no longer needed."""
    places = [_place_of(path) for path in table.files]
    parts: list[pa.Table] = []
    start = len(table)
    left = len(table)
    sizes = _row_counts(table.files, left)
    keep = len(places) - 1
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    while keep > 0 and (begins[keep] > first or not quick or sizes[keep - 1] < 2 * (len(table) - begins[keep])):
        keep -= 1
    if keep == len(places) - 1 and first >= len(table) and sum(sizes) == len(table):
        return []
    start = int(begins[keep])
    parts = [read_rows(root, place).slice(0, size) for place, size in zip(places[keep:], sizes[keep:], strict=True)]
    joined = join_tables([part for part in parts if part.num_rows])
    for name, values in changes.items():
        joined = with_column(joined, name, values[start:].tolist())
    write_episodes(root, places[keep], joined)
    return [layout.episodes_path(root, place) for place in places[keep + 1 :]]


def _row_counts(files: Sequence[Path], total: int) -> list[int]:
    """Committed rows in each file of the table."""
    out = []
    for path in files:
        with open_parquet(path) as file:
            rows = min(file.metadata.num_rows, total)
        out.append(rows)
        total -= rows
    return out


def _place_of(path: Path) -> Place:
    return Place(int(path.parent.name.removeprefix("chunk-")), int(path.stem.removeprefix("file-")))
