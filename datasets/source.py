"""A dataset whose episodes are copied into another one: metadata in full, rows file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError
from robot_stack.datasets.checks.embodiment import read_embodiment
from robot_stack.datasets.episode_notes import EpisodeNote, read_notes
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.layout import Place, data_path, video_path
from robot_stack.datasets.metadata import DatasetInfo, damaged_parquet, open_parquet, read_info, read_tasks


class Source:
    """One dataset to copy from.

    Args:
        root: its folder.

    Raises:
        DatasetError: if its metadata are damaged, or it has no episodes.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.info: DatasetInfo = read_info(self.root)
        """What ``meta/info.json`` says."""
        self.table: EpisodeTable = read_episodes(self.root, self.info)
        """The committed episodes."""
        if not len(self.table):
            raise DatasetError("the dataset has no episodes to copy", where=self.root, remedy="leave it out")
        self.tasks: tuple[str, ...] = read_tasks(self.root)
        """Task texts by ``task_index``."""
        self.embodiment: Embodiment | None = read_embodiment(self.root)
        """``None`` when the dataset does not say."""
        self.notes: tuple[EpisodeNote, ...] = read_notes(self.table)
        """What was noted about each episode."""
        self.rows: pa.Table = _read_table(self.table)
        """The table of episodes with every column."""

    def data_file(self, episode: int) -> Path:
        """The parquet file with the episode's rows."""
        place = Place(int(self.table.data_chunk[episode]), int(self.table.data_file[episode]))
        return data_path(self.root, place, self.info.data_path)

    def video_file(self, key: str, episode: int) -> Path:
        """The video file with the episode's frames of one camera."""
        videos = self.table.videos[key]
        place = Place(int(videos.chunk[episode]), int(videos.file[episode]))
        return video_path(self.root, key, place, self.info.video_path)

    def check_episodes(self, episodes: tuple[int, ...]) -> None:
        """Refuse episodes that do not exist, are named twice, or out of order.

        Raises:
            ConfigError: naming the first of them.
        """
        for before, episode in zip((-1, *episodes), episodes, strict=False):
            if not 0 <= episode < len(self.table):
                raise ConfigError(
                    "there is no such episode",
                    where=self.root,
                    got=episode,
                    expected=f"0 to {len(self.table) - 1}",
                )
            if episode <= before:
                raise ConfigError("episodes must be in ascending order, each once", got=f"{episode} after {before}")

    def episode_rows(self, episodes: tuple[int, ...]) -> Iterator[tuple[int, pa.Table]]:
        """The rows of some episodes, each as a table; memory holds one group of rows of a file.

        Args:
            episodes: ascending.

        Raises:
            DatasetError: if a file is missing, damaged, or shorter than the table of episodes says.
        """
        files: dict[Path, list[int]] = {}
        for episode in episodes:
            files.setdefault(self.data_file(episode), []).append(episode)
        for path, inside in files.items():
            yield from self._rows_of_file(path, inside)

    def _rows_of_file(self, path: Path, episodes: list[int]) -> Iterator[tuple[int, pa.Table]]:
        chunk, number = self.table.data_chunk, self.table.data_file
        mine = (chunk == chunk[episodes[0]]) & (number == number[episodes[0]])
        first = int(self.table.start[np.flatnonzero(mine)[0]])
        pending: list[pa.Table] = []
        group = 0
        begin = end = 0
        with open_parquet(path) as file:
            try:
                for episode in episodes:
                    low = int(self.table.start[episode]) - first
                    high = low + int(self.table.length[episode])
                    while end < high and group < file.num_row_groups:
                        pending.append(file.read_row_group(group, use_threads=False))
                        end += pending[-1].num_rows
                        group += 1
                        while pending and begin + pending[0].num_rows <= low:
                            begin += pending.pop(0).num_rows
                    if end < high:
                        raise DatasetError(
                            "a data file holds fewer rows than the episode table says",
                            where=path,
                            got=f"{end} rows",
                            expected=f"at least {high}",
                            remedy="run `robot-stack data validate` for a full list",
                        )
                    yield episode, pa.concat_tables(pending).slice(low - begin, high - low)
            except (pa.ArrowException, OSError) as error:
                raise damaged_parquet(path, error) from error


def _read_table(table: EpisodeTable) -> pa.Table:
    parts = []
    for path in table.files:
        with open_parquet(path) as file:
            try:
                parts.append(file.read(use_threads=False))
            except (pa.ArrowException, OSError) as error:
                raise damaged_parquet(path, error) from error
    return pa.concat_tables(parts, promote_options="permissive").slice(0, len(table)).combine_chunks()
