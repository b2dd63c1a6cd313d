"""Motions at another rate: without aliasing downwards, smooth upwards, unit quaternions along the sphere."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import firwin, kaiserord, oaconvolve

STOP_DB = 60.0
"""What the filter leaves of frequencies above 1.3 times the new Nyquist frequency [dB below]."""

TRANSITION = 0.6
"""Width of the filter's slope, as a share of the new Nyquist frequency, about which it lies."""


def new_times(frames: int, fps: float, rate: float) -> np.ndarray:
    """Times of the frames at the new rate, from 0 to no later than the last old frame [s]."""
    return np.arange(int(np.floor((frames - 1) / fps * rate + 1e-9)) + 1) / rate


def resampled(values: np.ndarray, fps: float, rate: float) -> np.ndarray:
    """Values at another rate.

    Downwards a zero-phase Kaiser-windowed low-pass comes first (passes up to 0.7, stops from 1.3 of the new Nyquist
    frequency; straight lines pass unchanged, also at the ends); then a cubic spline gives the new moments.

    Args:
        values: shape ``(frames, ...)``, finite.
        fps: their rate [1/s].
        rate: the wanted one [1/s].
    """
    if rate == fps or len(values) < 4:
        return values
    flat = values.reshape(len(values), -1)
    if rate < fps * (1.0 - 1e-9):
        flat = _low_pass(flat, rate / fps)
    return splined(flat, fps, new_times(len(flat), fps, rate)).reshape(-1, *values.shape[1:])


def resampled_quaternions(quaternions: np.ndarray, fps: float, rate: float) -> np.ndarray:
    """Unit quaternions ``(frames, 4)`` at another rate; as :func:`resampled` on the four numbers, then normalised.

    For turns of less than 0.1 rad between frames the error beside the spline on the sphere is below 1e-4 rad.
    """
    out = resampled(continuous(quaternions), fps, rate)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def splined(values: np.ndarray, fps: float, times: np.ndarray) -> np.ndarray:
    """Cubic spline through ``(frames, n)`` values, at other times [s]."""
    return CubicSpline(np.arange(len(values)) / fps, values)(times)


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same orientations with signs that do not jump, shape ``(frames, 4)``."""
    dots = np.sum(quaternions[1:] * quaternions[:-1], axis=1)
    signs = np.cumprod(np.concatenate([[1.0], np.where(dots < 0, -1.0, 1.0)]))
    return quaternions * signs[:, None]


def _low_pass(values: np.ndarray, ratio: float) -> np.ndarray:
    """Values ``(frames, n)`` without what is above the Nyquist frequency of a rate ``ratio`` times theirs."""
    taps, beta = kaiserord(STOP_DB, TRANSITION * ratio)
    taps = min(taps | 1, 2 * len(values) - 1)
    kernel = np.asarray(firwin(taps, min(ratio, 0.999), window=("kaiser", beta)))  # pyright: ignore[reportArgumentType]
    half = taps // 2
    # Odd reflection: a line goes on as a line beyond the ends.
    before = 2.0 * values[:1] - values[half:0:-1]
    after = 2.0 * values[-1:] - values[-2 : -half - 2 : -1]
    padded = np.concatenate([before, values, after])
    return oaconvolve(padded, kernel[:, None], mode="valid", axes=0)
