"""The committed part of a dataset, as its one writer sees it: how an episode becomes part of it, all or nothing.

A commit makes new files first (rows, videos), then adds rows to the last file of the table of episodes, and then
replaces ``meta/info.json``. That replacement is the commit point: readers take as many episodes as info.json says, so
that a half-written commit is invisible. Every file is written beside its place, made durable, and renamed.
``meta/stats.json`` follows; it can be derived from the episodes and is rebuilt when an interruption left it behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_stack.core.atomic import atomic_path, fsync_folder, storage_errors, write_json
from robot_stack.core.errors import DatasetError, StorageError
from robot_stack.datasets import layout
from robot_stack.datasets.data_file import write_rows
from robot_stack.datasets.dataset_stats import DatasetStats
from robot_stack.datasets.episode_rows import (
    EpisodeRow,
    VideoSpan,
    join_tables,
    provenance_text,
    read_rows,
    write_episodes,
)
from robot_stack.datasets.episodes import read_episodes
from robot_stack.datasets.layout import Place
from robot_stack.datasets.metadata import FeatureInfo, read_info, read_tasks
from robot_stack.datasets.schema import frame_rate
from robot_stack.datasets.stats import Stats, column_stats
from robot_stack.datasets.task_table import write_tasks
from robot_stack.datasets.video_writer import video_info

_TABLE_ROWS = 32


@dataclass(eq=False)
class PendingEpisode:
    """A whole episode, ready to be committed."""

    columns: dict[str, np.ndarray]
    """By feature (no automatic columns): numbers of shape ``(frames, *shape)`` or ``(frames,)``."""

    tasks: tuple[str, ...]
    """What was to be done; usually one text."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    """Provenance: plain data."""

    pictures: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """By image feature: one encoded picture a frame."""

    videos: Mapping[str, Path] = field(default_factory=dict)
    """By video feature: a finished file with the episode's frames, on the dataset's file system; it is moved."""

    camera_stats: Stats = field(default_factory=dict)
    """By camera."""

    task_of_frame: np.ndarray | None = None
    """For each frame the place of its task in :attr:`tasks`; ``None`` means the first."""

    extra: Mapping[str, pa.Array] = field(default_factory=dict)
    """More columns of the table of episodes, one value each."""

    @property
    def length(self) -> int:
        """Frames."""
        return len(next(iter(self.columns.values())))


class EpisodeStore:
    """Appends episodes to a dataset. The caller holds the dataset's lock and has repaired it.

    Args:
        root: folder of the dataset, with ``meta/info.json``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reload()

    def reload(self) -> None:
        """Take the state from the disk."""
        info = read_info(self.root)
        self.info: dict[str, Any] = info.raw
        self.features: dict[str, FeatureInfo] = info.features
        self.fps: Fraction = frame_rate(info.fps)
        self.tasks = read_tasks(self.root) if layout.tasks_path(self.root).exists() else ()
        table = read_episodes(self.root, info)
        self._table_place = _last_place(table.files)
        self._tail: pa.Table | None = None
        if self._table_place is not None:
            rows = read_rows(self.root, self._table_place)
            committed = int(np.sum(rows["episode_index"].to_numpy() < info.total_episodes))
            self._tail = rows.slice(0, committed)
        self._data_place = _last(table.data_chunk, table.data_file)
        self._video_places = {key: _last(place.chunk, place.file) for key, place in table.videos.items()}
        self.data_files = len(np.unique(np.stack([table.data_chunk, table.data_file]), axis=1).T) if len(table) else 0
        self.stats = DatasetStats(self.root)

    @property
    def total_episodes(self) -> int:
        """Committed episodes."""
        return int(self.info["total_episodes"])

    @property
    def total_frames(self) -> int:
        """Committed frames."""
        return int(self.info["total_frames"])

    def commit(self, episodes: Sequence[PendingEpisode]) -> range:
        """Make episodes part of the dataset, all of them or none; durable when this returns.

        Returns:
            Their numbers.

        Raises:
            StorageError: if the file system refuses; the dataset is as it was.
        """
        before = self.total_episodes
        made: list[Path] = []
        try:
            self._commit(episodes, made)
        except BaseException:
            if self._committed_on_disk() == before:
                for path in made:
                    path.unlink(missing_ok=True)
            self.reload()
            raise
        return range(before, before + len(episodes))

    def settle(self) -> None:
        """Bring the statistics up to date and note that nothing is left to be done.

        Raises:
            StorageError: if the file system refuses.
        """
        self.stats.write(self.info, exact=True)
        layout.unsettled_path(self.root).unlink(missing_ok=True)

    def _commit(self, episodes: Sequence[PendingEpisode], made: list[Path]) -> None:
        with storage_errors(self.root):
            layout.journal_folder(self.root).mkdir(exist_ok=True)
            layout.unsettled_path(self.root).touch()
        tasks = self._extended_tasks(episodes)
        data = self._free_place(self._data_place, lambda p: layout.data_path(self.root, p, self.info["data_path"]))
        made.append(layout.data_path(self.root, data, self.info["data_path"]))
        columns = self._columns(episodes, tasks)
        with atomic_path(made[0]) as temporary:
            write_rows(temporary, self.features, columns, _chained_pictures(episodes))
        places = dict(self._video_places)
        rows, start = [], self.total_frames
        for i, episode in enumerate(episodes):
            spans = {key: self._place_video(key, path, episode, places, made) for key, path in episode.videos.items()}
            piece = slice(start - self.total_frames, start - self.total_frames + episode.length)
            stats = column_stats({n: v[piece] for n, v in columns.items() if self.features[n].is_numeric})
            rows.append(self._row(episode, self.total_episodes + i, start, data, spans, stats))
            start += episode.length
        info = self._next_info(episodes, tasks)
        if tasks != self.tasks:
            write_tasks(self.root, tasks)
        table_place, tail = self._next_table(rows)
        write_episodes(self.root, table_place, tail)
        write_json(layout.info_path(self.root), info)  # the commit point
        self.info, self.tasks, self._data_place, self._video_places = info, tasks, data, places
        self._table_place, self._tail = table_place, tail
        self.data_files += 1
        self.stats.add([row.stats for row in rows])
        with contextlib.suppress(StorageError):  # then they are written with the next episodes, or on closing
            self.stats.write(info)

    def _extended_tasks(self, episodes: Sequence[PendingEpisode]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.tasks, *(task for episode in episodes for task in episode.tasks)]))

    def _columns(self, episodes: Sequence[PendingEpisode], tasks: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Every number and text column of all the episodes together, the automatic ones made here."""
        columns = {name: np.concatenate([e.columns[name] for e in episodes]) for name in episodes[0].columns}
        lengths = np.array([e.length for e in episodes])
        frame = np.concatenate([np.arange(n) for n in lengths])
        number = {task: i for i, task in enumerate(tasks)}
        columns["timestamp"] = (frame / float(self.fps)).astype(np.float32)
        columns["frame_index"] = frame
        columns["episode_index"] = np.repeat(self.total_episodes + np.arange(len(episodes)), lengths)
        columns["index"] = self.total_frames + np.arange(int(lengths.sum()))
        columns["task_index"] = np.concatenate(
            [
                np.array([number[task] for task in e.tasks])[
                    np.zeros(e.length, dtype=np.int64) if e.task_of_frame is None else e.task_of_frame
                ]
                for e in episodes
            ]
        )
        return {name: columns[name] for name, f in self.features.items() if not f.is_camera}

    def _place_video(
        self, key: str, source: Path, episode: PendingEpisode, places: dict[str, Place | None], made: list[Path]
    ) -> VideoSpan:
        pattern = self.info["video_path"]
        place = self._free_place(places[key], lambda p: layout.video_path(self.root, key, p, pattern))
        target = layout.video_path(self.root, key, place, pattern)
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(source, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            made.append(target)
            os.replace(source, target)
            fsync_folder(target.parent)
        places[key] = place
        return VideoSpan(place, 0.0, episode.length / float(self.fps))

    def _free_place(self, last: Place | None, path_of: Any) -> Place:
        """The place after the last committed one; a file left there by an interrupted commit is overwritten."""
        place = Place(0, 0) if last is None else last.next(int(self.info.get("chunks_size") or layout.FILES_PER_CHUNK))
        path_of(place).unlink(missing_ok=True)
        return place

    def _row(
        self,
        episode: PendingEpisode,
        number: int,
        start: int,
        data: Place,
        spans: Mapping[str, VideoSpan],
        stats: Stats,
    ) -> EpisodeRow:
        stats = {**stats, **episode.camera_stats}
        ordered = {name: stats[name] for name in self.features if name in stats}
        return EpisodeRow(
            number,
            episode.tasks,
            start,
            episode.length,
            data,
            spans,
            ordered,
            provenance_text(episode.facts),
            episode.extra,
        )

    def _next_table(self, rows: list[EpisodeRow]) -> tuple[Place, pa.Table]:
        """Where the rows go, and the whole contents of that file."""
        new = [row.table() for row in rows]
        if self._table_place is None or self._tail is None:
            return Place(0, 0), join_tables(new)
        if self._tail.num_rows >= _TABLE_ROWS:
            return self._table_place.next(), join_tables(new)
        return self._table_place, join_tables([self._tail, *new])

    def _next_info(self, episodes: Sequence[PendingEpisode], tasks: tuple[str, ...]) -> dict[str, Any]:
        info = dict(self.info)
        info["total_episodes"] = self.total_episodes + len(episodes)
        info["total_frames"] = self.total_frames + sum(episode.length for episode in episodes)
        info["total_tasks"] = len(tasks)
        info["splits"] = {"train": f"0:{info['total_episodes']}"}
        info["features"] = {name: dict(entry) for name, entry in info["features"].items()}
        for key, place in self._video_places.items():
            if "info" not in info["features"][key]:
                first = place or Place(0, 0)
                info["features"][key]["info"] = video_info(
                    layout.video_path(self.root, key, first, self.info["video_path"])
                )
        return info

    def _committed_on_disk(self) -> int:
        return read_info(self.root).total_episodes


def _chained_pictures(episodes: Sequence[PendingEpisode]) -> dict[str, Sequence[bytes]]:
    if len(episodes) == 1:
        return dict(episodes[0].pictures)
    return {key: [data for e in episodes for data in e.pictures[key]] for key in episodes[0].pictures}


def _last(chunk: np.ndarray, file: np.ndarray) -> Place | None:
    return Place(int(chunk[-1]), int(file[-1])) if len(chunk) else None


def _last_place(files: Sequence[Path]) -> Place | None:
    if not files:
        return None
    path = files[-1]
    try:
        return Place(int(path.parent.name.removeprefix("chunk-")), int(path.stem.removeprefix("file-")))
    except ValueError as error:
        raise DatasetError("a file of the table of episodes has an odd name", where=path) from error
