"""The error rate of an exact test as a function of the unknown common success rate, and its largest value.

When both policies succeed with the same probability p, a test of success rejects with probability

    g(p) = sum_k c[k] Binom(k; m, p),

where m is the number of trials of both policies together and c[k] is the chance of rejection given k successes among
them, which does not depend on p. So g is a polynomial in Bernstein form with coefficients in [0, 1], whatever the test,
and its size (Barnard's "maximal p-value") is the maximum of that polynomial over [0, 1].

:func:`certified_maximum` bounds that maximum between the points at which it is evaluated: on an interval of width h,
``g <= max(g at its ends) + h^2/8 max|g''|``, and g'' has Bernstein coefficients ``m (m-1) (c[k+2] - 2 c[k+1] + c[k])``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Maximum:
    """The largest value of an error rate over the nuisance parameter."""

    value: float
    """Largest value found; it is attained."""

    at: float
    """Success rate at which it was found."""

    bound: float
    """No success rate gives more than this."""


def log_choose(n: int) -> Array:
    """Logarithms of the binomial coefficients (n, 0) to (n, n); shape (n+1,)."""
    k = np.arange(n + 1)
    return special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)


def binomial_rows(n: int, rates: Array) -> Array:
    """Binomial probabilities of 0 to n successes for every rate; shape (len(rates), n+1)."""
    k, p = np.arange(n + 1.0), np.asarray(rates, dtype=np.float64)[:, None]
    return np.exp(log_choose(n)[None, :] + special.xlogy(k, p) + special.xlog1py(n - k, -p))


def arcsine_grid(points: int, high: float = 1.0) -> Array:
    """Rates from 0 to ``high``, both included, about one standard deviation apart wherever they lie."""
    return np.sin(np.linspace(0.0, np.arcsin(np.sqrt(high)), points)) ** 2


def at(coefficients: Array, rates: Array) -> Array:
    """The error rate at these success rates; in pieces, so that memory stays small."""
    m, piece = len(coefficients) - 1, max(1, 4_000_000 // len(coefficients))
    parts = [binomial_rows(m, rates[i : i + piece]) @ coefficients for i in range(0, len(rates), piece)]
    return np.concatenate(parts) if parts else np.zeros(0)


def maximum(coefficients: Array, *, points: int | None = None) -> float:
    """The largest value, by a grid and repeated zooming on its best places; right to about 1e-9, from below."""
    m = len(coefficients) - 1
    grid = arcsine_grid(points or 16 * int(np.sqrt(m + 1)) + 33)
    values = at(coefficients, grid)
    best = float(values.max())
    inner = np.r_[True, values[1:] >= values[:-1]] & np.r_[values[:-1] >= values[1:], True]
    peaks = sorted(np.flatnonzero(inner), key=lambda i: -values[i])[:4]
    low, high = grid[np.maximum(np.array(peaks) - 1, 0)], grid[np.minimum(np.array(peaks) + 1, len(grid) - 1)]
    for _ in range(5):
        zoom = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 17)
        around = at(coefficients, zoom.ravel()).reshape(zoom.shape)
        best, place = max(best, float(around.max())), around.argmax(axis=1)
        rows = np.arange(len(zoom))
        low, high = zoom[rows, np.maximum(place - 1, 0)], zoom[rows, np.minimum(place + 1, 16)]
    return best


def certified_maximum(coefficients: Array, *, gap: float = 1e-7, high: float = 1.0) -> Maximum:
    """The largest value, and a bound that no success rate exceeds.

    Args:
        coefficients: c[k], shape (m+1,).
        gap: subdivide until the bound is within this of the largest value found (or 2**16 intervals are reached).
        high: look at rates from 0 to this only; 0.5 for a test that treats successes and failures alike.
    """
    m = len(coefficients) - 1
    curvature = np.abs(np.diff(coefficients, 2)) * m * (m - 1.0)
    ends = arcsine_grid(4 * int(np.sqrt(m + 1)) + 9, high)
    low, up = ends[:-1], ends[1:]
    g_low, g_up = at(coefficients, low), at(coefficients, up)
    best, place = -1.0, 0.0
    settled = 0.0
    while True:
        tops = np.maximum(g_low, g_up)
        i = int(tops.argmax())
        if tops[i] > best:
            best, place = float(tops[i]), float(low[i] if g_low[i] >= g_up[i] else up[i])
        bounds = tops + _bend(curvature, low, up)
        open_ = bounds > best + gap
        settled = max(settled, float(bounds[~open_].max(initial=0.0)))
        if not open_.any() or len(low) > 2**16:
            return Maximum(best, place, max(best, settled, float(bounds[open_].max(initial=0.0))))
        low, up, g_low, g_up = low[open_], up[open_], g_low[open_], g_up[open_]
        middle = (low + up) / 2
        g_middle = at(coefficients, middle)
        low, up = np.r_[low, middle], np.r_[middle, up]
        g_low, g_up = np.r_[g_low, g_middle], np.r_[g_middle, g_up]


def _bend(curvature: Array, low: Array, up: Array) -> Array:
    """How far the error rate can rise above its values at the ends of each interval."""
    n = len(curvature) - 1
    if n < 0:
        return np.zeros(len(low))
    mode = np.arange(n + 1) / max(n, 1)
    peak = np.diag(binomial_rows(n, mode))
    out, piece = np.empty(len(low)), max(1, 1_000_000 // (n + 1))
    for i in range(0, len(low), piece):
        a, b = low[i : i + piece], up[i : i + piece]
        largest = np.maximum(binomial_rows(n, a), binomial_rows(n, b))
        inside = (mode >= a[:, None]) & (mode <= b[:, None])
        out[i : i + piece] = np.where(inside, peak, largest) @ curvature * (b - a) ** 2 / 8
    return out
