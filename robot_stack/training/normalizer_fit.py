"""Normalisers fitted to every row a policy learns from, not to stored statistics; one number of a vector at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.normalizer import Normalizer, NormalizerKind, fit
from robot_stack.datasets.windows import Windows
from robot_stack.policies.config import NormalizationConfig
from robot_stack.policies.normalizers import ALL_SOURCES, PolicyNormalizers, SourceNormalizer
from robot_stack.training.dataset_embodiment import ACTION, STATE
from robot_stack.training.demonstrations import episode_rows

Rows = list[tuple[Windows, np.ndarray]]
"""Rows of datasets, each array of shape ``(n,)``."""


def fit_policy_normalizers(
    config: NormalizationConfig, sources: Sequence[tuple[str, Windows]], action_offsets: Sequence[int]
) -> PolicyNormalizers:
    """Fit the normalisers of a policy to the episodes it learns from.

    The result is that of :func:`robot_stack.policies.normalizers.fit_normalizers`, in the memory of one column.

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
    rows = [(windows, episode_rows(windows.dataset, windows.episodes)) for windows in group]
    has_state = STATE in group[0].dataset.features
    state = _fit_vector(config.state, STATE, rows, config.quantiles) if has_state else Normalizer("identity", (), ())
    if not config.action_per_step:
        return SourceNormalizer(name, state, _fit_vector(config.action, ACTION, rows, config.quantiles))
    steps = [
        _fit_vector(config.action, ACTION, [(w, _step_rows(w, offset)) for w in group], config.quantiles)
        for offset in offsets
    ]
    return SourceNormalizer(name, state, _joined(config.action, steps))


def _fit_vector(kind: NormalizerKind, name: str, rows: Rows, quantiles: tuple[float, float]) -> Normalizer:
    """Fit each number of a feature by itself."""
    size = rows[0][0].dataset.features[name].shape[0]
    fitted = []
    for element in range(size):
        values = [w.dataset.column(name).array[r, element].astype(np.float64) for w, r in rows]
        fitted.append(fit(kind, np.concatenate(values)[:, None], quantiles=quantiles))
    return _joined(kind, fitted)


def _joined(kind: NormalizerKind, parts: list[Normalizer]) -> Normalizer:
    offset = tuple(value for part in parts for value in part.offset)
    scale = tuple(value for part in parts for value in part.scale)
    return Normalizer(kind, offset, scale, parts[0].clip)


def _step_rows(windows: Windows, offset: int) -> np.ndarray:
    """The row that each window takes for one step of its chunk; at the ends of an episode rows repeat."""
    anchors = windows.anchors(np.arange(len(windows)))
    table = windows.dataset.episodes
    episode = np.searchsorted(table.stop, anchors, side="right")
    return np.clip(anchors + offset, table.start[episode], table.stop[episode] - 1)
