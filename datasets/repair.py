"""Brings a dataset back in order after an interruption, and brings back the episode that was being recorded.

What is committed is never touched but to be cleaned: rows and files that no committed episode needs are removed,
statistics that were left behind are computed again. Every step can itself be interrupted and run again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.atomic import atomic_path, write_json
from robot_stack.core.errors import DatasetError, RobotStackError
from robot_stack.core.lock import FolderLock
from robot_stack.datasets import layout
from robot_stack.datasets.data_file import join_rows
from robot_stack.datasets.dataset_stats import rebuild_stats, with_row_quantiles
from robot_stack.datasets.episode_rows import read_rows, write_episodes
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.journal import JournalReader, journals
from robot_stack.datasets.layout import Place
from robot_stack.datasets.metadata import DatasetInfo, open_parquet, read_info, read_stats, read_tasks
from robot_stack.datasets.pending import from_journal
from robot_stack.datasets.stats import to_json
from robot_stack.datasets.store import EpisodeStore
from robot_stack.datasets.task_table import write_tasks
from robot_stack.datasets.video_writer import VideoCodec

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
_STATS_TOLERANCE = 1e-9


@dataclass
class RepairReport:
    """What was done."""

    episodes: int = 0
    """Committed episodes afterwards."""

    recovered: list[int] = field(default_factory=list)
    """Numbers of the episodes that were brought back from the journal; how they ended is unknown."""

    recovered_frames: int = 0
    """Frames in them."""

    removed: list[str] = field(default_factory=list)
    """Files that no committed episode needed."""

    rebuilt: list[str] = field(default_factory=list)
    """Files that were written anew from the committed episodes."""

    problems: list[str] = field(default_factory=list)
    """What could not be repaired."""

    @property
    def changed(self) -> bool:
        """Anything had to be done."""
        return bool(self.recovered or self.removed or self.rebuilt)


def repair(root: str | Path, *, codec: VideoCodec | None = None) -> RepairReport:
    """Repair a dataset that nobody is writing.

    Args:
        root: folder of the dataset.
        codec: how the videos of a recovered episode are encoded.

    Raises:
        LockedError: if somebody is writing it.
        DatasetError: if the folder is no dataset.
        StorageError: if the file system refuses; run it again when it does not.
    """
    root = Path(root)
    read_info(root)
    with FolderLock(root, what="dataset"):
        return repair_locked(root, codec=codec)


def repair_locked(root: Path, *, codec: VideoCodec | None = None) -> RepairReport:
    """As :func:`repair`, for a caller that holds the dataset's lock."""
    report = RepairReport()
    _remove_temporaries(root, report)
    _trim_table(root, report)
    info = read_info(root)
    table = read_episodes(root, info)
    _remove_unused(root, info, table, report)
    _trim_data(root, info, table, report)
    _salvage(root, codec or VideoCodec(), report)
    _check_tasks(root, report)
    _check_stats(root, report)
    report.episodes = read_info(root).total_episodes
    return report


def _remove_temporaries(root: Path, report: RepairReport) -> None:
    folders = [root / "data", root / "videos", root / "meta"]
    found = [path for folder in folders for path in folder.rglob(".*.tmp")] + list(root.glob(".*.tmp"))
    found += [p for p in layout.journal_folder(root).glob("*") if p.suffix in (".mp4", ".tmp")]
    for path in sorted(found):
        if path.suffix == ".mp4" or _TEMPORARY.fullmatch(path.name):
            _remove(root, path, report)


def _trim_table(root: Path, report: RepairReport) -> None:
    """Drop rows beyond the committed episodes: of a commit or a compaction that was interrupted."""
    info = read_info(root)
    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    left, keep = info.total_episodes, []
    for path in files:
        with open_parquet(path) as file:
            rows = file.metadata.num_rows
        keep.append(min(rows, left))
        left -= keep[-1]
    for path, rows in reversed(list(zip(files, keep, strict=True))):
        if rows == 0:
            _remove(root, path, report)
            continue
        place = Place(int(path.parent.name.removeprefix("chunk-")), int(path.stem.removeprefix("file-")))
        table = read_rows(root, place)
        if table.num_rows > rows:
            write_episodes(root, place, table.slice(0, rows))
            report.rebuilt.append(str(path.relative_to(root)))


def _remove_unused(root: Path, info: DatasetInfo, table: EpisodeTable, report: RepairReport) -> None:
    """Remove data and video files with names of ours that no committed episode lies in."""
    used = {
        layout.data_path(root, Place(int(c), int(f)), info.data_path)
        for c, f in zip(table.data_chunk, table.data_file, strict=True)
    }
    for key, place in table.videos.items():
        files = {(int(c), int(f)) for c, f in zip(place.chunk, place.file, strict=True)}
        used |= {layout.video_path(root, key, Place(c, f), info.video_path) for c, f in files}
    found = [*(root / "data").glob("chunk-*/file-*.parquet"), *(root / "videos").glob("*/chunk-*/file-*.mp4")]
    for path in sorted(found):
        if path not in used:
            _remove(root, path, report)


def _trim_data(root: Path, info: DatasetInfo, table: EpisodeTable, report: RepairReport) -> None:
    """Cut data files to the committed rows: a compaction was interrupted after making them longer."""
    places = np.stack([table.data_chunk, table.data_file], axis=1) if len(table) else np.empty((0, 2), dtype=int)
    for chunk, number in np.unique(places, axis=0):
        path = layout.data_path(root, Place(int(chunk), int(number)), info.data_path)
        rows = int(table.length[(places == (chunk, number)).all(axis=1)].sum())
        try:
            with open_parquet(path) as file:
                there = file.metadata.num_rows
            if there > rows:
                with atomic_path(path) as temporary:
                    join_rows([(path, rows)], temporary)
                report.rebuilt.append(str(path.relative_to(root)))
            elif there < rows:
                report.problems.append(f"{path.relative_to(root)} holds {there} rows, {rows} are committed")
        except DatasetError as error:
            report.problems.append(f"{path.relative_to(root)}: {error.message}")


def _salvage(root: Path, codec: VideoCodec, report: RepairReport) -> None:
    """Commit what the journals hold, as episodes that broke off."""
    for path in journals(layout.journal_folder(root)):
        store = EpisodeStore(root)
        try:
            journal = JournalReader(path)
        except DatasetError:
            _remove(root, path, report)
            continue
        with journal:
            if journal.header.episode < store.total_episodes or not len(journal):
                _remove(root, path, report)  # it was committed, or nothing was recorded yet
                continue
            facts: dict[str, Any] = {**journal.header.provenance, "success": None, "recovered": True}
            try:
                pending = from_journal(journal, len(journal), store.features, facts, store.fps, codec)
                report.recovered += list(store.commit([pending]))
            except KeyError as error:
                report.problems.append(f"{path.relative_to(root)}: recorded with other features ({error})")
                continue
            report.recovered_frames += len(journal)
        path.unlink()


def _check_tasks(root: Path, report: RepairReport) -> None:
    info = read_info(root)
    if not info.total_episodes:
        return
    path = layout.tasks_path(root)
    try:
        tasks = read_tasks(root)
    except RobotStackError:
        tasks = _tasks_of_episodes(root, info)
        write_tasks(root, tasks)
        report.rebuilt.append(str(path.relative_to(root)))
    if info.raw.get("total_tasks") != len(tasks):
        write_json(layout.info_path(root), {**info.raw, "total_tasks": len(tasks)})
        report.rebuilt.append("meta/info.json")


def _tasks_of_episodes(root: Path, info: DatasetInfo) -> tuple[str, ...]:
    """The tasks in the order in which episodes first had them, which is the order they were numbered in."""
    table = read_episodes(root, info)
    return tuple(dict.fromkeys(task for tasks in table.column("tasks") for task in tasks))


def _check_stats(root: Path, report: RepairReport) -> None:
    """Compute stats.json again unless it is what the episodes give and a writer brought it up to date on closing."""
    info = read_info(root)
    if not info.total_episodes:
        return
    merged = rebuild_stats(root, info)
    marker = layout.unsettled_path(root)
    try:
        stored = read_stats(root)
        same = stored.keys() == merged.keys() and all(
            np.allclose(stored[f][n], merged[f][n], rtol=1e-6, atol=_STATS_TOLERANCE)
            for f in merged
            for n in ("min", "max", "mean", "std", "count")
        )
    except (RobotStackError, KeyError, TypeError, ValueError, AttributeError):
        same = False
    if not same or marker.exists():
        stats = with_row_quantiles(root, info, read_episodes(root, info), merged)
        write_json(layout.stats_path(root), to_json(stats))
        report.rebuilt.append("meta/stats.json")
        marker.unlink(missing_ok=True)


def _remove(root: Path, path: Path, report: RepairReport) -> None:
    path.unlink(missing_ok=True)
    report.removed.append(str(path.relative_to(root)))
