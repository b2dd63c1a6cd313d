"""Rows of datasets in blocks: what is computed from all rows needs the memory of one block, not of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from robot_stack.datasets.columns import Column
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.windows import Windows

BLOCK_ROWS = 1 << 14
"""Rows read at once."""

_GAP_ROWS = 256
"""Rows this close together are read with one call, and what lies between them is thrown away."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a dataset, found by their number instead of kept in a list."""

    dataset: Dataset
    """The dataset."""

    count: int
    """How many."""

    locate: Callable[[np.ndarray], np.ndarray]
    """Numbers in ``0 … count - 1``, shape ``(n,)``, to rows of the dataset, shape ``(n,)``."""

    def blocks(self, name: str, numbers: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """A numeric feature of these rows, block by block.

        Args:
            name: the feature.
            numbers: only these, shape ``(n,)``, best in rising order; all when left out.

        Yields:
            Arrays ``(at most BLOCK_ROWS, *shape)`` in the type of the feature.
        """
        column = self.dataset.column(name)
        count = self.count if numbers is None else len(numbers)
        for first in range(0, count, BLOCK_ROWS):
            stop = min(first + BLOCK_ROWS, count)
            yield _read(column, self.locate(np.arange(first, stop) if numbers is None else numbers[first:stop]))


def rows_of_episodes(dataset: Dataset, episodes: np.ndarray) -> Rows:
    """Every row of some episodes, shape ``(n,)``."""
    start, stop = dataset.episodes.start[episodes], dataset.episodes.stop[episodes]
    end = np.cumsum(stop - start)

    def locate(numbers: np.ndarray) -> np.ndarray:
        episode = np.searchsorted(end, numbers, side="right")
        return stop[episode] - end[episode] + numbers

    return Rows(dataset, int(end[-1]), locate)


def rows_of_step(windows: Windows, offset: int) -> Rows:
    """The row that each window takes ``offset`` steps from its anchor; at the ends of an episode rows repeat."""
    table = windows.dataset.episodes

    def locate(numbers: np.ndarray) -> np.ndarray:
        anchors = windows.anchors(numbers)
        episode = np.searchsorted(table.stop, anchors, side="right")
        return np.clip(anchors + offset, table.start[episode], table.stop[episode] - 1)

    return Rows(windows.dataset, len(windows), locate)


def _read(column: Column, rows: np.ndarray) -> np.ndarray:
    """Rows ``(n,)`` → values ``(n, *shape)``; each rising stretch without large gaps is read with one call."""
    step = np.diff(rows)
    parts = np.split(rows, np.flatnonzero((step < 0) | (step > _GAP_ROWS)) + 1)
    return np.concatenate([column.slice(int(p[0]), int(p[-1]) + 1)[p - p[0]] for p in parts])
