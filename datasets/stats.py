"""Statistics of features, with LeRobot's names and shapes: min max mean std count q01 q10 q50 q90 q99.

Of one episode they are exact (quantiles interpolate linearly between order statistics, as ``numpy.quantile`` does).
Of the whole dataset min, max, mean, std and count are exact, merged from the episodes; quantiles of numbers are
computed from the rows themselves by :mod:`robot_stack.datasets.dataset_stats`. Quantiles of cameras are merged as
LeRobot merges them (mean of the episodes' quantiles, weighted by count).
Keys and shapes: huggingface/lerobot 0.4, lerobot/datasets/compute_stats.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

Stats = dict[str, dict[str, np.ndarray]]
"""By feature and name of the statistic; ``count`` has shape ``(1,)``, the others the feature's shape."""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)
_THUMBNAIL, _LARGE = 150, 300


def column_stats(columns: Mapping[str, np.ndarray]) -> Stats:
    """Exact statistics of some rows.

    Args:
        columns: by feature, numbers or flags of shape ``(rows, *shape)`` or ``(rows,)``; at least one row.

    Returns:
        Statistics in float64; those of a ``(rows,)`` column have the shape ``(1,)``.
    """
    flat = {name: np.asarray(values).reshape(len(values), -1) for name, values in columns.items()}
    if not flat:
        return {}
    matrix = np.concatenate([values.astype(np.float64) for values in flat.values()], axis=1)
    with np.errstate(over="ignore"):
        whole = {
            "min": matrix.min(axis=0),
            "max": matrix.max(axis=0),
            "mean": matrix.mean(axis=0),
            "std": matrix.std(axis=0),
        }
    whole |= dict(zip(QUANTILES, quantiles(matrix), strict=True))
    out: Stats = {}
    start = 0
    for name, values in columns.items():
        stop = start + flat[name].shape[1]
        shape = np.shape(values)[1:] or (1,)
        out[name] = {key: value[start:stop].reshape(shape) for key, value in whole.items()}
        out[name]["count"] = np.array([len(values)], dtype=np.int64)
        start = stop
    return out


def quantiles(matrix: np.ndarray) -> np.ndarray:
    """Quantiles of each column of ``(rows, columns)``, shape ``(5, columns)``, as ``numpy.quantile`` interpolates.

    Sorts once; numpy's own function partitions once for each quantile and is slower on short episodes.
    """
    ordered = np.sort(matrix, axis=0)
    place = np.array(list(QUANTILES.values())) * (len(matrix) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(matrix) - 1)
    weight = (place - below)[:, None]
    low, high = ordered[below], ordered[above]
    step = high - low
    # the same rounding as numpy: interpolate from the nearer end
    return np.where(weight >= 0.5, high - step * (1 - weight), low + step * weight)


class PictureStats:
    """Adds up the statistics of a camera frame by frame, exactly, in 256 bins a channel.

    Large frames are thinned as LeRobot thins them: every k-th pixel, so that the longer side has about 150.

    Args:
        channels: of the camera.
    """

    def __init__(self, channels: int = 3) -> None:
        self.frames = 0
        self._bins = np.zeros((channels, 256), dtype=np.int64)

    def add(self, image: np.ndarray) -> None:
        """Count a frame, uint8 of shape ``(height, width, channels)``."""
        height, width = image.shape[:2]
        if max(height, width) >= _LARGE:
            step = max(height, width) // _THUMBNAIL
            image = np.ascontiguousarray(image[::step, ::step])
        for channel in range(len(self._bins)):
            counts = cv2.calcHist([image], [channel], None, [256], [0.0, 256.0])
            self._bins[channel] += counts.reshape(-1).astype(np.int64)
        self.frames += 1

    def result(self) -> dict[str, np.ndarray]:
        """Statistics with values in [0, 1] and shape ``(channels, 1, 1)``; count is the number of frames."""
        values = np.arange(256, dtype=np.float64)
        total = self._bins.sum(axis=1, keepdims=True)
        mean = (self._bins * values).sum(axis=1) / total[:, 0]
        spread = (self._bins * (values - mean[:, None]) ** 2).sum(axis=1) / total[:, 0]
        seen = self._bins > 0
        out = {"min": seen.argmax(axis=1), "max": 255 - seen[:, ::-1].argmax(axis=1), "mean": mean}
        out["std"] = np.sqrt(spread)
        out |= {name: self._quantile(q) for name, q in QUANTILES.items()}
        scaled = {name: (value / 255.0).reshape(-1, 1, 1) for name, value in out.items()}
        return {**scaled, "count": np.array([self.frames], dtype=np.int64)}

    def _quantile(self, q: float) -> np.ndarray:
        cumulative = self._bins.cumsum(axis=1)
        place = q * (cumulative[:, -1] - 1)
        low = [np.searchsorted(c, np.floor(p), side="right") for c, p in zip(cumulative, place, strict=True)]
        high = [np.searchsorted(c, np.ceil(p), side="right") for c, p in zip(cumulative, place, strict=True)]
        return np.array(low) + (np.array(high) - np.array(low)) * (place - np.floor(place))


def merge_stats(parts: Sequence[Stats]) -> Stats:
    """Statistics of several parts together: exact but for quantiles, which are weighted by count as in LeRobot.

    A part without frames (no features) adds nothing.
    """
    out: Stats = {}
    for feature in dict.fromkeys(name for part in parts for name in part):
        entries = [part[feature] for part in parts if feature in part]
        names = [name for name in NAMES if all(name in entry for entry in entries)]
        out[feature] = _merge_feature({name: np.stack([np.asarray(e[name]) for e in entries]) for name in names})
    return out


def merge_stacked(stacked: Stats) -> Stats:
    """As :func:`merge_stats`, of statistics with one row a part: arrays of shape ``(parts, *shape)``."""
    return {feature: _merge_feature(entry) for feature, entry in stacked.items()}


def _merge_feature(entry: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if len(entry["count"]) == 1:
        return {name: values[0] for name, values in entry.items()}
    counts = entry["count"].reshape(-1).astype(np.float64)
    means = entry["mean"].astype(np.float64)
    weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
    mean = (means * weights).sum(axis=0)
    variance = ((entry["std"].astype(np.float64) ** 2 + (means - mean) ** 2) * weights).sum(axis=0)
    out = {"min": entry["min"].min(axis=0), "max": entry["max"].max(axis=0), "mean": mean, "std": np.sqrt(variance)}
    out["count"] = np.array([int(counts.sum())], dtype=np.int64)
    return out | {name: (entry[name] * weights).sum(axis=0) for name in QUANTILES if name in entry}


def to_json(stats: Stats) -> dict[str, dict[str, Any]]:
    """As ``meta/stats.json`` has it."""
    return {
        feature: {name: np.asarray(entry[name]).tolist() for name in NAMES if name in entry}
        for feature, entry in stats.items()
    }
