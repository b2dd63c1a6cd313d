"""A dataset in numbers: how much, of what, by whom, and how well."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from robot_stack.datasets.checks.embodiment import read_embodiment
from robot_stack.datasets.episode_notes import EpisodeNote, read_notes
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.metadata import DatasetInfo, damaged_parquet, open_parquet, read_info

_MEASURED = "observation.time"


@dataclass(frozen=True)
class TaskCount:
    """One task."""

    instruction: str
    """Its text."""

    episodes: int
    """Episodes in which it occurs."""

    succeeded: int
    """Those that reached the goal."""

    judged: int
    """Those of which it is known whether they did."""


@dataclass(frozen=True)
class FeatureLine:
    """One feature."""

    name: str
    """Its key."""

    dtype: str
    """Type of its numbers, ``"image"`` or ``"video"``."""

    shape: tuple[int, ...]
    """Shape of one frame's value."""


@dataclass(frozen=True)
class Rate:
    """How fast was really recorded, by the measured times."""

    measured_hz: float
    """One over the median time between two frames [Hz]."""

    ratio: float
    """Measured over nominal rate."""

    worst_gap_s: float
    """The longest time between two frames [s]."""


@dataclass(frozen=True)
class Summary:
    """What :func:`summarize` tells."""

    root: str
    """Folder of the dataset."""

    embodiment: str
    """Name of the robot; empty when unknown."""

    fps: float
    """Nominal rate [Hz]."""

    episodes: int
    """Committed episodes."""

    frames: int
    """Committed frames."""

    hours: float
    """Length at the nominal rate [h]."""

    shortest: int
    """Frames of the shortest episode."""

    median: float
    """Frames of the median episode."""

    longest: int
    """Frames of the longest episode."""

    succeeded: int
    """Episodes that reached their goal."""

    judged: int
    """Episodes of which it is known whether they did."""

    recovered: int
    """Episodes that were brought back after a recording broke off."""

    tasks: tuple[TaskCount, ...]
    """The most frequent first."""

    drivers: dict[str, int]
    """Episodes by who decided."""

    features: tuple[FeatureLine, ...]
    """As ``meta/info.json`` lists them."""

    bytes: dict[str, int]
    """Size on disk by folder: ``data``, ``videos``, ``meta``, ``cache`` (may be deleted) and the rest [byte]."""

    rate: Rate | None
    """Measured rate; ``None`` when no times were measured."""

    @property
    def success_rate(self) -> float | None:
        """Share of the judged episodes that reached their goal; ``None`` when none was judged."""
        return self.succeeded / self.judged if self.judged else None


def summarize(root: str | Path) -> Summary:
    """Read the metadata (and the measured times, where there are any) of a dataset.

    Raises:
        DatasetError: if it is damaged.
    """
    root = Path(root)
    info = read_info(root)
    table = read_episodes(root, info)
    notes = read_notes(table)
    embodiment = read_embodiment(root)
    lengths = table.length if len(table) else np.zeros(1, dtype=np.int64)
    return Summary(
        root=str(root),
        embodiment=embodiment.name if embodiment else info.robot_type,
        fps=info.fps,
        episodes=len(table),
        frames=table.num_rows,
        hours=table.num_rows / info.fps / 3600,
        shortest=int(lengths.min()),
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
        succeeded=sum(note.success is True for note in notes),
        judged=sum(note.success is not None for note in notes),
        recovered=sum(note.recovered for note in notes),
        tasks=count_tasks(notes),
        drivers=dict(Counter(note.driver or "not noted" for note in notes).most_common()),
        features=tuple(FeatureLine(f.name, f.dtype, f.shape) for f in info.features.values()),
        bytes=_sizes(root),
        rate=_measure_rate(root, info, table),
    )


def count_tasks(notes: tuple[EpisodeNote, ...]) -> tuple[TaskCount, ...]:
    """How often each instruction occurs and succeeds, the most frequent first."""
    by_text: dict[str, list[EpisodeNote]] = {}
    for note in notes:
        for task in note.tasks:
            by_text.setdefault(task, []).append(note)
    counts = [
        TaskCount(text, len(mine), sum(n.success is True for n in mine), sum(n.success is not None for n in mine))
        for text, mine in by_text.items()
    ]
    return tuple(sorted(counts, key=lambda count: (-count.episodes, count.instruction)))


def _sizes(root: Path) -> dict[str, int]:
    sizes = {"data": 0, "videos": 0, "meta": 0, "cache": 0, "other": 0}
    for path in root.rglob("*"):
        if path.is_file():
            folder = path.relative_to(root).parts[0].removeprefix(".")
            sizes[folder if folder in sizes else "other"] += path.stat().st_size
    return sizes


def _measure_rate(root: Path, info: DatasetInfo, table: EpisodeTable) -> Rate | None:
    """Rate by ``observation.time``, which holds seconds since the episode began."""
    if _MEASURED not in info.features or not len(table):
        return None
    times = _read_times(root, info, table)
    gaps = np.diff(times)
    inside = np.ones(len(gaps), dtype=bool)
    inside[table.stop[:-1] - 1] = False
    gaps = gaps[inside]
    typical = float(np.median(gaps)) if len(gaps) else 0.0
    if not typical > 0:
        return None
    return Rate(1 / typical, 1 / typical / info.fps, float(gaps.max()))


def _read_times(root: Path, info: DatasetInfo, table: EpisodeTable) -> np.ndarray:
    parts = []
    places = dict.fromkeys(zip(table.data_chunk.tolist(), table.data_file.tolist(), strict=True))
    for chunk, file in places:
        path = root / info.data_path.format(chunk_index=chunk, file_index=file)
        try:
            with open_parquet(path) as parquet:
                column = parquet.read(columns=[_MEASURED], use_threads=False)[_MEASURED].combine_chunks()
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise damaged_parquet(path, error) from error
        while pa.types.is_nested(column.type):
            column = column.flatten()
        mine = (table.data_chunk == chunk) & (table.data_file == file)
        parts.append(column.to_numpy(zero_copy_only=False)[: int(table.length[mine].sum())])
    return np.concatenate(parts)
