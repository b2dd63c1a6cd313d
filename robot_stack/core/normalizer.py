"""Affine normalisers: what a network sees, and the way back to physical units.

Range normalisation to [-1, 1] is that of Diffusion Policy (Chi et al., 2023): with z-scores, clipping samples to
[-1, 1] would make part of the action space unreachable. Quantile normalisation with clipping is that of TRI's Large
Behavior Models study (2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.normalizer_kind import NormalizerKind

_SMALLEST_RANGE = 1e-4
"""What changes by less in the data counts as constant: an unused gripper that trembles by a micrometre would else fill
the whole input range, and throw the policy off as soon as it moves by a millimetre."""


@dataclass(frozen=True)
class Normalizer:
    """``normalized = clip((physical - offset) / scale)``, element by element.

    ``offset`` and ``scale`` are tuples of equal length, so that a normaliser is plain data with a JSON round trip.
    """

    kind: NormalizerKind
    """How it was fitted."""

    offset: tuple[float, ...]
    """Physical value that maps to 0."""

    scale: tuple[float, ...]
    """Physical size of 1; positive."""

    clip: float | None = None
    """Normalised values are clipped to ``[-clip, clip]``; ``None`` leaves them."""

    def __post_init__(self) -> None:
        if len(self.offset) != len(self.scale):
            raise ConfigError("a normaliser needs as many scales as offsets", got=(len(self.offset), len(self.scale)))
        if not (np.isfinite(self.offset).all() and np.isfinite(self.scale).all() and (np.array(self.scale) > 0).all()):
            raise NonFiniteError("a normaliser needs finite offsets and positive finite scales", got=self)

    @property
    def size(self) -> int:
        """Length of the vectors it takes."""
        return len(self.offset)

    def normalize(self, physical: np.ndarray) -> np.ndarray:
        """Physical units to network units; shape ``(..., size)`` kept, float64."""
        self._check(physical)
        out = (physical - np.array(self.offset)) / np.array(self.scale)
        return out if self.clip is None else np.clip(out, -self.clip, self.clip)

    def denormalize(self, normalized: np.ndarray) -> np.ndarray:
        """Network units to physical units; shape ``(..., size)`` kept, float64."""
        self._check(normalized)
        return normalized * np.array(self.scale) + np.array(self.offset)

    def select(self, indices: np.ndarray) -> Normalizer:
        """The normaliser of some of the numbers."""
        picked = [int(i) for i in indices]
        return Normalizer(
            self.kind, tuple(self.offset[i] for i in picked), tuple(self.scale[i] for i in picked), self.clip
        )

    def _check(self, array: np.ndarray) -> None:
        if array.shape[-1:] != (self.size,):
            raise ShapeError("a normaliser met another size", got=array.shape, expected=f"(..., {self.size})")


def identity(size: int) -> Normalizer:
    """Leaves numbers as they are."""
    return Normalizer("identity", (0.0,) * size, (1.0,) * size)


def min_max(low: np.ndarray, high: np.ndarray) -> Normalizer:
    """Maps ``[low, high]`` to ``[-1, 1]``; numbers that never change are only centred.

    Args:
        low: smallest values, shape ``(size,)``.
        high: largest values, shape ``(size,)``.
    """
    low, high = _checked("min_max", low, high)
    half = (high - low) / 2
    constant = half * 2 < _SMALLEST_RANGE
    return Normalizer("min_max", tuple((low + half).tolist()), tuple(np.where(constant, 1.0, half).tolist()))


def quantile(low: np.ndarray, high: np.ndarray, *, clip: float = 1.5) -> Normalizer:
    """Maps two quantiles to ``[-1, 1]`` and clips beyond ``clip``.

    Args:
        low: lower quantile, shape ``(size,)``, e.g. of 2%.
        high: upper quantile, shape ``(size,)``, e.g. of 98%.
        clip: bound on normalised values.
    """
    base = min_max(*_checked("quantile", low, high))
    return Normalizer("quantile", base.offset, base.scale, clip)


def mean_std(mean: np.ndarray, std: np.ndarray) -> Normalizer:
    """Zero mean and unit standard deviation; numbers that never change are only centred."""
    mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    scale = np.where(std < _SMALLEST_RANGE, 1.0, std)
    return Normalizer("mean_std", tuple(mean.tolist()), tuple(scale.tolist()))


def fit(kind: NormalizerKind, data: np.ndarray, *, quantiles: tuple[float, float] = (0.02, 0.98)) -> Normalizer:
    """Fit a normaliser to data.

    Args:
        kind: which.
        data: shape ``(rows, size)``, finite, at least one row.
        quantiles: for ``"quantile"``.

    Raises:
        NonFiniteError: if the data hold NaN or infinity.
        ShapeError: if there is no row.
    """
    if data.ndim != 2 or len(data) < 1:
        raise ShapeError("a normaliser is fitted to rows", got=data.shape, expected="(rows >= 1, size)")
    if not np.isfinite(data).all():
        row, column = np.argwhere(~np.isfinite(data))[0]
        raise NonFiniteError("the data to normalise are not finite", got=f"row {row}, column {column}")
    if kind == "identity":
        return identity(data.shape[1])
    if kind == "min_max":
        return min_max(data.min(axis=0), data.max(axis=0))
    if kind == "quantile":
        return quantile(*np.quantile(data, quantiles, axis=0))
    return mean_std(data.mean(axis=0, dtype=np.float64), data.std(axis=0, dtype=np.float64))


def _checked(kind: str, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if low.shape != high.shape or low.ndim != 1:
        raise ShapeError(f"{kind} needs two vectors of one length", got=(low.shape, high.shape))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise NonFiniteError(f"{kind} needs finite bounds", got=(low.tolist(), high.tolist()))
    if (low > high).any():
        raise ConfigError(f"{kind} needs low <= high", got=(low.tolist(), high.tolist()))
    return low, high
