"""Count, smallest, largest, mean and spread of numbers that come in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Of the rows of one feature; arrays have the feature's shape."""

    count: int
    """Rows."""

    low: np.ndarray
    """Smallest values."""

    high: np.ndarray
    """Largest values."""

    mean: np.ndarray
    """Mean values."""

    squares: np.ndarray
    """Sum of squared distances from the mean."""

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the population."""
        return np.sqrt(self.squares / max(self.count, 1))

    def merged(self, other: Moments) -> Moments:
        """Of both together (pairwise update of Chan, Golub and LeVeque, 1979)."""
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift**2 * (self.count * other.count / count),
        )


def over_leading_axes(moments: Moments) -> Moments:
    """Moments by the last axis alone, as LeRobot keeps them for features with several axes."""
    axes = tuple(range(moments.mean.ndim - 1))
    mean = moments.mean.mean(axis=axes)
    each = int(np.prod(moments.mean.shape[:-1]))
    spread = ((moments.mean - mean) ** 2).sum(axis=axes) * moments.count + moments.squares.sum(axis=axes)
    return Moments(moments.count * each, moments.low.min(axis=axes), moments.high.max(axis=axes), mean, spread)


def moments_of(rows: np.ndarray) -> Moments:
    """Moments over the first axis of at least one row."""
    values = rows.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
    return Moments(len(values), values.min(axis=0), values.max(axis=0), mean, squares)
