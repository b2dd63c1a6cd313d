"""Normalisers fitted to every row a policy learns from, not to stored statistics, in memory that does not grow.

Ranges, means and deviations are gathered block by block, the last two as in Chan, Golub and LeVeque (1979),
"Updating Formulae and a Pairwise Algorithm for Computing Sample Variances". Quantiles are exact up to
:data:`EXACT_ROWS` rows, and beyond that those of as many rows, one drawn from each of equally long stretches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robot_stack.core.normalizer import Normalizer, NormalizerKind, identity, mean_std, min_max, quantile
from robot_stack.core.seeding import generator
from robot_stack.datasets.windows import Windows
from robot_stack.policies.config import NormalizationConfig
from robot_stack.policies.normalizers import ALL_SOURCES, PolicyNormalizers, SourceNormalizer, bounded
from robot_stack.training.dataset_embodiment import ACTION, STATE
from robot_stack.training.row_blocks import Rows, rows_of_episodes, rows_of_step

EXACT_ROWS = 1 << 22
"""Most rows whose quantiles are exact: 23 hours at 50 Hz. So many numbers are kept at a time, 32 MB."""


def fit_policy_normalizers(
    config: NormalizationConfig, sources: Sequence[tuple[str, Windows]], action_offsets: Sequence[int]
) -> PolicyNormalizers:
    """Fit the normalisers of a policy to the episodes it learns from.

    The result is that of :func:`robot_stack.policies.normalizers.fit_normalizers`, up to the sampling of quantiles of
    very large datasets: beyond :data:`EXACT_ROWS` rows the share of numbers below a quantile is off by 1e-4 or so.

    Args:
        config: which kinds.
        sources: names and training windows of the datasets, in the order of the mixture.
        action_offsets: steps of the chunk relative to the anchor, for normalisers per step.
    """
    groups = [(name, [windows]) for name, windows in sources]
    if not config.per_source:
        groups = [(ALL_SOURCES, [windows for _, windows in sources])]
    return PolicyNormalizers(tuple(_fit_source(config, name, group, action_offsets) for name, group in groups))


def _fit_source(
    config: NormalizationConfig, name: str, group: list[Windows], offsets: Sequence[int]
) -> SourceNormalizer:
    rows = [rows_of_episodes(windows.dataset, windows.episodes) for windows in group]
    has_state = STATE in group[0].dataset.features
    state = bounded(config, _fit(config.state, STATE, rows, config.quantiles)) if has_state else identity(0)
    if not config.action_per_step:
        return SourceNormalizer(name, state, _fit(config.action, ACTION, rows, config.quantiles))
    steps = [
        _fit(config.action, ACTION, [rows_of_step(windows, offset) for windows in group], config.quantiles)
        for offset in offsets
    ]
    return SourceNormalizer(name, state, _joined(config.action, steps))


def _fit(kind: NormalizerKind, name: str, rows: list[Rows], quantiles: tuple[float, float]) -> Normalizer:
    """Fit one feature, a vector."""
    size = rows[0].dataset.features[name].shape[0]
    if kind == "identity":
        return identity(size)
    if kind == "min_max":
        return min_max(*_range(_blocks(name, rows)))
    if kind == "mean_std":
        return mean_std(*_mean_and_deviation(_blocks(name, rows)))
    return quantile(*_quantiles(name, rows, size, quantiles))


def _blocks(name: str, rows: list[Rows]) -> Iterator[np.ndarray]:
    for part in rows:
        for block in part.blocks(name):
            yield block.astype(np.float64)


def _range(blocks: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest values, each ``(size,)``, of blocks ``(n, size)``."""
    low = high = None
    for block in blocks:
        least, most = block.min(axis=0), block.max(axis=0)
        low = least if low is None else np.minimum(low, least)
        high = most if high is None else np.maximum(high, most)
    assert low is not None and high is not None, "a dataset to learn from has rows"
    return low, high


def _mean_and_deviation(blocks: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, each ``(size,)``, of blocks ``(n, size)``."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for block in blocks:
        own = block.mean(axis=0)
        apart = own - mean
        total = count + len(block)
        mean = mean + apart * len(block) / total
        squares = squares + ((block - own) ** 2).sum(axis=0) + apart**2 * count * len(block) / total
        count = total
    return mean, np.sqrt(squares / count)


def _quantiles(name: str, rows: list[Rows], size: int, shares: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Two quantiles, each ``(size,)``; as many numbers of the vector at a time as memory allows."""
    total = sum(part.count for part in rows)
    kept = [_kept(part.count, total) for part in rows]
    count = sum(part.count if numbers is None else len(numbers) for part, numbers in zip(rows, kept, strict=True))
    low, high = np.empty(size), np.empty(size)
    at_once = max(1, EXACT_ROWS // count)
    for first in range(0, size, at_once):
        some = slice(first, first + at_once)
        values = np.empty((count, len(low[some])))
        end = 0
        for part, numbers in zip(rows, kept, strict=True):
            for block in part.blocks(name, numbers):
                values[end : end + len(block)] = block[:, some]
                end += len(block)
        low[some], high[some] = np.quantile(values, shares, axis=0, overwrite_input=True)
    return low, high


def _kept(count: int, total: int) -> np.ndarray | None:
    """Which of ``count`` rows are looked at for quantiles, when there are ``total`` in all; ``None`` for every one.

    One row is drawn from each stretch: every k-th row would meet episodes of equal length at the same few steps.
    """
    if total <= EXACT_ROWS:
        return None
    stretches = max(1, count * EXACT_ROWS // total)
    draws = np.arange(stretches) + generator(0, count).random(stretches)
    return np.minimum((draws * (count / stretches)).astype(np.int64), count - 1)


def _joined(kind: NormalizerKind, parts: list[Normalizer]) -> Normalizer:
    offset = tuple(value for part in parts for value in part.offset)
    scale = tuple(value for part in parts for value in part.scale)
    return Normalizer(kind, offset, scale, parts[0].clip)
