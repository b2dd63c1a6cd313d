"""Several datasets drawn from with fixed weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.datasets.order import shuffled
from robot_stack.datasets.windows import Batch, Windows

Transform = Callable[[Batch], Batch]
"""Turns the windows of one source into those of the mixture; must depend on nothing but its argument."""

_WEIGHT_STEPS = 1 << 32


@dataclass(frozen=True)
class Source:
    """One dataset of a mixture."""

    windows: Windows
    """Its windows."""

    weight: float | None = None
    """Share of the samples, relative to the other sources; by number of windows when no source gives one."""

    name: str = ""
    """For messages; the dataset's folder when empty."""

    transform: Transform | None = None
    """Normalisation or renaming of this source alone, applied before the sources come together."""


class Mixture:
    """Draws from sources so that after any number of draws each has its exact share, rounded.

    The shares follow Webster's (Sainte-Laguë's) method of apportionment, which never takes a draw back as their
    number grows: how many of the first ``n`` draws came from a source is a function of ``n`` alone, so order and
    resumption need no history.

    Args:
        sources: at least one; after their transforms all must give the same fields with the same shapes and types.

    Raises:
        ConfigError: if weights are missing or not positive.
        ShapeError: if the sources do not fit together.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise ConfigError("a mixture needs at least one source")
        self.sources = tuple(sources)
        self.names = tuple(s.name or s.windows.dataset.root.name for s in self.sources)
        """Name of each source, at the place of its ``source_index``."""
        self.tasks = tuple(dict.fromkeys(text for s in self.sources for text in s.windows.tasks))
        """Task texts of all sources by the batch's ``task_index``; equal texts share one index."""
        self._weights = _integer_weights(self.sources)
        place = {text: i for i, text in enumerate(self.tasks)}
        self._task_index = [np.array([place[t] for t in s.windows.tasks], dtype=np.int64) for s in self.sources]
        self._check_fields()

    @property
    def weights(self) -> tuple[float, ...]:
        """Share of each source; they sum to 1."""
        return tuple(w / sum(self._weights) for w in self._weights)

    @property
    def num_windows(self) -> int:
        """Windows of all sources together."""
        return sum(len(source.windows) for source in self.sources)

    def counts(self, draws: int) -> list[int]:
        """How many of the first ``draws`` draws come from each source; non-decreasing in ``draws``."""
        total = sum(self._weights)
        counts = [(2 * draws * w + total) // (2 * total) for w in self._weights]
        while sum(counts) > draws:
            last = max(range(len(counts)), key=lambda i: (Fraction(2 * counts[i] - 1, self._weights[i]), i))
            counts[last] -= 1
        while sum(counts) < draws:
            next_ = min(range(len(counts)), key=lambda i: (Fraction(2 * counts[i] + 1, self._weights[i]), i))
            counts[next_] += 1
        return counts

    def draw(self, first: int, count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and window of some consecutive draws.

        Each source is walked through in shuffled order, epoch after epoch. Within these draws the sources are mixed,
        so that any part of them is a fair sample.

        Args:
            first: number of the first draw.
            count: how many.
            seed: of the order.

        Returns:
            ``source_index`` and window number, both int64 of shape ``(count,)``.
        """
        before, after = self.counts(first), self.counts(first + count)
        source = np.repeat(np.arange(len(self.sources)), np.subtract(after, before))
        if len(self.sources) > 1:
            source = source[np.random.Generator(np.random.Philox(key=[seed % 2**64, first])).permutation(count)]
        window = np.empty(count, dtype=np.int64)
        for i, part in enumerate(self.sources):
            slots = np.flatnonzero(source == i)
            epoch, place = np.divmod(before[i] + np.arange(len(slots)), len(part.windows))
            window[slots] = shuffled(place, len(part.windows), seed=seed + i, epoch=epoch)
        return source, window

    def batch(self, source: np.ndarray, window: np.ndarray) -> Batch:
        """Gather windows of several sources into one batch.

        Args:
            source: ``source_index`` of each window, shape ``(n,)``.
            window: number of each window in its source, shape ``(n,)``.

        Returns:
            As :meth:`Windows.batch`, with ``source_index`` of shape ``(n,)`` and ``task_index`` into :attr:`tasks`.
        """
        out: Batch = {}
        for i in np.unique(source):
            slots = np.flatnonzero(source == i)
            part = self._part(int(i), window[slots])
            if len(slots) == len(source):
                out = part
                break
            for name, values in part.items():
                if name not in out:
                    out[name] = np.empty((len(source), *values.shape[1:]), dtype=values.dtype)
                out[name][slots] = values
        out["source_index"] = np.asarray(source, dtype=np.int64)
        return out

    def describe(self) -> list[dict[str, object]]:
        """What determines the order, as plain data: for checks on resuming."""
        return [
            {"weight": weight, **source.windows.description}
            for weight, source in zip(self._weights, self.sources, strict=True)
        ]

    def _part(self, index: int, window: np.ndarray) -> Batch:
        source = self.sources[index]
        batch = source.windows.batch(window)
        batch["task_index"] = self._task_index[index][batch["task_index"]]
        return batch if source.transform is None else source.transform(batch)

    def _check_fields(self) -> None:
        if len(self.sources) == 1:
            return
        first: dict[str, tuple[tuple[int, ...], str]] = {}
        for i, name in enumerate(self.names):
            batch = self._part(i, np.zeros(1, dtype=np.int64))
            layout = {field: (values.shape[1:], values.dtype.str) for field, values in batch.items()}
            first = first or layout
            different = {f for f in {*first, *layout} if first.get(f) != layout.get(f)}
            if different:
                field = sorted(different)[0]
                raise ShapeError(
                    f"the sources of a mixture do not fit together in {field!r}",
                    where=name,
                    got=layout.get(field, "no such field"),
                    expected=first.get(field, f"no such field, as in {self.names[0]}"),
                    remedy="give the source a transform that brings its fields to the shape of the others",
                )


def _integer_weights(sources: tuple[Source, ...]) -> list[int]:
    """Weights as integers, so that shares are exact however many draws are made."""
    given = [source.weight for source in sources]
    if all(weight is None for weight in given):
        return [len(source.windows) for source in sources]
    weights = [float(weight) if weight is not None else 0.0 for weight in given]
    if not all(np.isfinite(w) and w > 0 for w in weights):
        raise ConfigError("every source needs a positive weight, or none of them one", got=given)
    return [max(1, round(w / sum(weights) * _WEIGHT_STEPS)) for w in weights]
