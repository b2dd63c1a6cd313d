"""``meta/stats.json`` of a dataset that grows.

Min, max, mean, std and count are exact after every commit. Quantiles of numbers come from the rows (every row up
to 200,000, then every k-th) whenever the dataset has grown fourfold since, on closing, and by a repair; in between, and
always for cameras, they are merged from the episodes as LeRobot does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.atomic import storage_errors, write_json
from robot_stack.core.errors import DatasetError
from robot_stack.datasets import layout
from robot_stack.datasets.columns import data_parts, to_numpy
from robot_stack.datasets.episode_rows import stacked_stats
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.metadata import DatasetInfo, open_parquet, read_info, read_parquet, read_stats
from robot_stack.datasets.stats import QUANTILES, Stats, merge_stacked, merge_stats, quantiles, to_json

SAMPLED_ROWS = 200_000
_GROWTH = 4


class DatasetStats:
    """The statistics of a dataset while it is being written.

    Args:
        root: folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._merged: Stats | None = None
        self._frames_of_quantiles = 0
        self._dirty = False

    def add(self, episodes: Sequence[Stats]) -> None:
        """Count committed episodes in."""
        if self._merged is not None:
            self._merged = merge_stats([self._merged, *episodes])
        self._dirty = True

    def write(self, info: dict[str, Any], *, exact: bool = False) -> None:
        """Write ``meta/stats.json``.

        Args:
            info: the contents of info.json.
            exact: compute the quantiles from the rows now.

        Raises:
            StorageError: if the file system refuses.
        """
        frames = int(info["total_frames"])
        if not frames:
            return
        if self._merged is None:
            self._merged = self._from_disk(frames)
        if frames > self._frames_of_quantiles and (exact or frames >= _GROWTH * self._frames_of_quantiles):
            self._merged.update(self._with_quantiles(self._merged))
            self._frames_of_quantiles = frames
        if exact:
            write_json(layout.stats_path(self._root), to_json(self._merged))
        elif self._dirty:
            self._write_quickly(to_json(self._merged))
        self._dirty = False

    def _write_quickly(self, stats: dict[str, Any]) -> None:
        """Atomic but neither indented nor made durable: it can be derived, and is written anew on closing."""
        path = layout.stats_path(self._root)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with storage_errors(path):
            try:
                temporary.write_text(json.dumps(stats, allow_nan=False))
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def _from_disk(self, frames: int) -> Stats:
        """Merged statistics of every committed episode: from stats.json when it is up to date, else from the table."""
        try:
            stats = read_stats(self._root)
            counts = {int(np.asarray(entry["count"]).reshape(-1)[0]) for n, entry in stats.items() if n == "index"}
            if counts == {frames}:
                return {f: {k: np.asarray(v) for k, v in entry.items()} for f, entry in stats.items()}
        except (DatasetError, KeyError, ValueError, AttributeError):
            pass
        return rebuild_stats(self._root, read_info(self._root))

    def _with_quantiles(self, stats: Stats) -> Stats:
        info = read_info(self._root)
        return with_row_quantiles(self._root, info, read_episodes(self._root, info), stats)


def rebuild_stats(root: Path, info: DatasetInfo) -> Stats:
    """Statistics of all committed episodes, merged from the table of episodes (quantiles as LeRobot merges them)."""
    table = read_episodes(root, info)
    parts: list[Stats] = []
    left = len(table)
    for path in table.files:
        rows = read_parquet(path).slice(0, left)
        left -= rows.num_rows
        if rows.num_rows:
            parts.append(merge_stacked(stacked_stats(rows)))
    return merge_stats(parts)


def with_row_quantiles(root: Path, info: DatasetInfo, table: EpisodeTable, stats: Stats) -> Stats:
    """The statistics with quantiles of the numbers taken from the rows."""
    features = [f for f in info.features.values() if f.is_numeric and f.name in stats]
    stride = max(1, -(-table.num_rows // SAMPLED_ROWS))
    samples = list(_samples(root, info, table, [f.name for f in features], stride))
    out = dict(stats)
    for i, feature in enumerate(features):
        rows = np.concatenate([piece[i] for piece in samples]).astype(np.float64)
        shape = np.shape(stats[feature.name]["mean"])  # LeRobot's matrices have statistics of their last axis only
        values = quantiles(rows.reshape(-1, int(np.prod(shape))))
        new = {name: value.reshape(shape) for name, value in zip(QUANTILES, values, strict=True)}
        out[feature.name] = {**stats[feature.name], **new}
    return out


def _samples(
    root: Path, info: DatasetInfo, table: EpisodeTable, names: list[str], stride: int
) -> Iterator[list[np.ndarray]]:
    """Every ``stride``-th row of the dataset, batch by batch, one array a feature."""
    for part in data_parts(root, info, table):
        done = 0
        with open_parquet(part.path) as file:
            for batch in file.iter_batches(16384, columns=names, use_threads=False):
                batch = batch.slice(0, min(batch.num_rows, part.rows - done))
                if not batch.num_rows:
                    break
                first = (-(part.first_row + done)) % stride
                arrays = [to_numpy(batch.column(n), info.features[n], part.path, done) for n in names]
                yield [array[first::stride].copy() for array in arrays]
                done += batch.num_rows
