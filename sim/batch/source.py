"""The fields of a batch as attributes, so that what reads an ``MjData`` reads a batch, or some of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np


class BatchSource:
    """Every field of ``MjData`` as a live array of shape ``(nsim, ...)``, looked up once.

    Args:
        batch: ``mujoco.batch.Batch``.
    """

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.expanded: dict[str, np.ndarray] = {}
        """Model fields that differ between simulations, each of shape ``(nsim, ...)``, by name."""

    def __getattr__(self, name: str) -> np.ndarray:
        if name in self.expanded:
            return self.expanded[name]
        array = getattr(self._batch, name)
        setattr(self, name, array)
        return array

    def expand(self, name: str) -> np.ndarray:
        """Give a model field a value of its own in every simulation; see ``mujoco.batch.Batch.expand``."""
        self.expanded[name] = self._batch.expand(name)
        return self.expanded[name]

    def rows(self, rows: np.ndarray) -> RowSource:
        """Some simulations only, shape ``(len(rows), ...)``."""
        return RowSource(self, rows)


class RowSource:
    """Copies of some rows of a :class:`BatchSource`.

    Args:
        source: of which.
        rows: which, shape ``(n,)``.
    """

    def __init__(self, source: BatchSource, rows: np.ndarray) -> None:
        self._source, self._rows = source, rows

    def __getattr__(self, name: str) -> np.ndarray:
        return getattr(self._source, name)[self._rows]

    def expand(self, name: str) -> np.ndarray:
        """As of :class:`BatchSource`, for these rows."""
        return self._source.expand(name)[self._rows]
