"""Writes a new dataset out of episodes of others: rows keep their bits, videos are copied without re-encoding.

The new folder appears whole or not at all: it is written beside its place under another name, and renamed at the end.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_stack.core.atomic import fsync_folder, fsync_tree, storage_errors, write_json
from robot_stack.core.config_json import to_plain
from robot_stack.core.errors import ConfigError
from robot_stack.core.lock import FolderLock
from robot_stack.datasets.columns import to_numpy
from robot_stack.datasets.dataset_stats import rebuild_stats, with_row_quantiles
from robot_stack.datasets.episode_rows import write_episodes
from robot_stack.datasets.episodes import read_episodes
from robot_stack.datasets.layout import Place, embodiment_path, info_path, stats_path, video_path
from robot_stack.datasets.metadata import read_info
from robot_stack.datasets.row_files import RowFiles, files_per_chunk
from robot_stack.datasets.source import Source
from robot_stack.datasets.stats import column_stats, to_json
from robot_stack.datasets.task_table import write_tasks
from robot_stack.datasets.video_cut import Span, copy_spans

Progress = Callable[[int, int], None]
"""Called with episodes done and episodes in all."""

_RENUMBERED = ("index", "episode_index", "task_index")
_CHUNK, _FILE = "meta/episodes/chunk_index", "meta/episodes/file_index"


@dataclass(frozen=True)
class Piece:
    """Some episodes of one dataset."""

    source: Source
    """The dataset."""

    episodes: tuple[int, ...]
    """Ascending, each once."""


def assemble(pieces: list[Piece], out: str | Path, *, progress: Progress | None = None) -> Path:
    """Write a new dataset.

    Args:
        pieces: at least one episode in all; the first piece decides on embodiment and features, which must agree.
        out: the new folder; must not exist, or be empty.
        progress: called after each episode.

    Raises:
        ConfigError: if nothing was chosen, or ``out`` is not empty.
        DatasetError, VideoError: if a source is damaged; nothing is left at ``out`` then.
        LockedError: if another process is writing the same dataset.
        StorageError: if the file system refuses.
    """
    out = Path(out)
    if not any(piece.episodes for piece in pieces):
        raise ConfigError("no episode was chosen", remedy="choose at least one")
    for piece in pieces:
        piece.source.check_episodes(piece.episodes)
    require_empty(out)
    unfinished = out.with_name(f".{out.name}.unfinished")
    with FolderLock(unfinished, what="dataset") as lock:
        try:
            with storage_errors(out):
                _clear(unfinished)
                _Assembly(unfinished, pieces, progress).write()
                lock.path.unlink()
                fsync_tree(unfinished)
                if out.exists():
                    out.rmdir()
                os.replace(unfinished, out)
                fsync_folder(out.parent)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return out


def require_empty(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        ConfigError: naming the folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("the new dataset's folder is not empty", where=out, remedy="give another, or remove it")


def _clear(folder: Path) -> None:
    """Remove what an interrupted run left, but the lock."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


@dataclass
class _Assembly:
    """The new dataset while it is written."""

    root: Path
    pieces: list[Piece]
    progress: Progress | None
    tasks: dict[str, int] = field(default_factory=dict)
    new: list[dict[str, Any]] = field(default_factory=list)  # what changes in each row of the table of episodes
    frames: int = 0

    @property
    def first(self) -> Source:
        """Decides on features, embodiment and file sizes."""
        return self.pieces[0].source

    def write(self) -> None:
        """Write every file."""
        self.pieces = [piece for piece in self.pieces if piece.episodes]
        self._write_rows()
        for key in self.first.table.videos:
            self._copy_videos(key)
        write_episodes(self.root, Place(0, 0), self._table())
        self._write_metadata()

    def _write_rows(self) -> None:
        total = sum(len(piece.episodes) for piece in self.pieces)
        files = RowFiles(self.root, self.first.info)
        try:
            for piece in self.pieces:
                unknown = _features_without_stats(piece.source)
                for episode, table in piece.source.episode_rows(piece.episodes):
                    renumbered = self._renumber(piece.source, table, files.schema)
                    place = files.add(renumbered)
                    self._note_episode(piece.source, episode, renumbered, place, unknown)
                    if self.progress:
                        self.progress(len(self.new), total)
        finally:
            files.close()

    def _renumber(self, source: Source, table: pa.Table, schema: pa.Schema) -> pa.Table:
        old = table["task_index"].to_numpy()
        tasks = {int(i): self.tasks.setdefault(source.tasks[int(i)], len(self.tasks)) for i in np.unique(old)}
        numbers = {
            "index": np.arange(self.frames, self.frames + table.num_rows),
            "episode_index": np.full(table.num_rows, len(self.new)),
            "task_index": np.array([tasks[int(i)] for i in old]),
        }
        columns = {name: pa.array(numbers[name]) if name in numbers else table[name] for name in schema.names}
        return pa.table(columns).cast(schema)

    def _note_episode(
        self, source: Source, episode: int, rows: pa.Table, place: Place, unknown: tuple[str, ...]
    ) -> None:
        columns = {}
        for name in (*_RENUMBERED, *unknown):
            feature = source.info.features[name]
            columns[name] = to_numpy(rows[name].combine_chunks(), feature, source.data_file(episode), 0)
        texts = list(self.tasks)
        row: dict[str, Any] = {
            "episode_index": len(self.new),
            "tasks": [texts[i] for i in np.unique(columns["task_index"])],
            "length": rows.num_rows,
            "data/chunk_index": place.chunk,
            "data/file_index": place.file,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + rows.num_rows,
        }
        for name, entry in column_stats(columns).items():
            row |= {f"stats/{name}/{statistic}": value.tolist() for statistic, value in entry.items()}
        row |= {_CHUNK: 0, _FILE: 0, "provenance": _with_origin(source, episode)}
        self.new.append(row)
        self.frames += rows.num_rows

    def _copy_videos(self, key: str) -> None:
        place, number = Place(0, 0), 0
        for piece in self.pieces:
            source, videos = piece.source, piece.source.table.videos[key]
            files: dict[Path, list[int]] = {}
            for episode in piece.episodes:
                files.setdefault(source.video_file(key, episode), []).append(episode)
            numbers = {episode: number + i for i, episode in enumerate(piece.episodes)}
            for path, episodes in files.items():
                target = video_path(self.root, key, place, self.first.info.video_path)
                target.parent.mkdir(parents=True, exist_ok=True)
                episodes = sorted(episodes, key=lambda e: float(videos.from_timestamp[e]))
                spans = [Span(float(videos.from_timestamp[e]), int(source.table.length[e])) for e in episodes]
                begins = copy_spans(path, spans, source.info.fps, target)
                for episode, span, begin in zip(episodes, spans, begins, strict=True):
                    end = begin + span.frames / source.info.fps
                    self._note_video(key, numbers[episode], place, begin, end)
                place = place.next(files_per_chunk(self.first.info))
            number += len(piece.episodes)

    def _note_video(self, key: str, number: int, place: Place, begin: float, end: float) -> None:
        self.new[number] |= {
            f"videos/{key}/chunk_index": place.chunk,
            f"videos/{key}/file_index": place.file,
            f"videos/{key}/from_timestamp": begin,
            f"videos/{key}/to_timestamp": end,
        }

    def _table(self) -> pa.Table:
        """The table of episodes: what did not change keeps its values and types."""
        parts, done = [], 0
        for piece in self.pieces:
            mine = self.new[done : done + len(piece.episodes)]
            done += len(piece.episodes)
            kept = piece.source.rows.take(pa.array(piece.episodes))
            columns = {name: kept[name] for name in kept.column_names}
            columns |= {name: pa.array([row[name] for row in mine]) for name in mine[0]}
            parts.append(pa.table(columns))
        return pa.concat_tables(parts, promote_options="permissive").combine_chunks()

    def _write_metadata(self) -> None:
        info = dict(self.first.info.raw)
        info["features"] = _merged_features([piece.source for piece in self.pieces])
        info["total_episodes"], info["total_frames"] = len(self.new), self.frames
        info["total_tasks"], info["splits"] = len(self.tasks), {"train": f"0:{len(self.new)}"}
        write_json(info_path(self.root), info)
        write_tasks(self.root, tuple(self.tasks))
        if self.first.embodiment is not None:
            write_json(embodiment_path(self.root), to_plain(self.first.embodiment))
        written = read_info(self.root)
        stats = rebuild_stats(self.root, written)
        stats = with_row_quantiles(self.root, written, read_episodes(self.root, written), stats)
        write_json(stats_path(self.root), to_json(stats))


def _features_without_stats(source: Source) -> tuple[str, ...]:
    """Numeric features of which some episode has no statistics."""
    out = []
    for name, feature in source.info.features.items():
        column = f"stats/{name}/mean"
        known = column in source.rows.column_names and not source.rows[column].null_count
        if feature.is_numeric and name not in _RENUMBERED and not known:
            out.append(name)
    return tuple(out)


def _with_origin(source: Source, episode: int) -> str:
    """The episode's provenance, and which dataset and episode it was copied from."""
    noted = source.notes[episode].provenance
    origin = {"dataset": source.root.resolve().name, "episode": episode}
    earlier = noted.get("origin")
    history = [*earlier, origin] if isinstance(earlier, list) else [origin]
    return json.dumps({**noted, "origin": history}, ensure_ascii=False)


def _merged_features(sources: list[Source]) -> dict[str, Any]:
    """Features of the first; what the videos of the others do not share is left open, as LeRobot does."""
    features = {name: dict(entry) for name, entry in sources[0].info.raw["features"].items()}
    for name, entry in features.items():
        if isinstance(entry.get("info"), dict):
            others = [s.info.raw["features"][name].get("info") or {} for s in sources[1:]]
            entry["info"] = {
                key: value if all(other.get(key) == value for other in others) else None
                for key, value in entry["info"].items()
            }
    return features
