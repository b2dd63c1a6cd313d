"""Random numbers that are functions of a key and counters: the same for one simulation or many, in any order.

The generator is splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) over key and counters. Only whole-number
arithmetic and one exact scaling are used, so that the numbers do not depend on how many are drawn at once.
"""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_PART = np.uint64(0xFFFF)


def bits(key: np.ndarray, *counters: np.ndarray | int) -> np.ndarray:
    """64 random bits for every combination of key and counters, which broadcast.

    Args:
        key: whole numbers, not negative.
        counters: likewise.

    Returns:
        uint64.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        out = _mixed(np.asarray(key).astype(np.uint64) + _GOLDEN)
        for counter in counters:
            out = _mixed(out + _GOLDEN * (np.asarray(counter).astype(np.uint64) + np.uint64(1)))
    return out


def uniform(key: np.ndarray, *counters: np.ndarray | int) -> np.ndarray:
    """Numbers spread evenly over [0, 1), float64; arguments as of :func:`bits`."""
    return (bits(key, *counters) >> np.uint64(11)) * 2.0**-53


def bell(key: np.ndarray, *counters: np.ndarray | int) -> np.ndarray:
    """Numbers of mean 0 and standard deviation 1, nearly normal and never beyond 3.47; arguments as of :func:`bits`.

    The sum of four evenly spread numbers (Irwin and Hall), which like real sensors has no far outliers.
    """
    drawn = bits(key, *counters)
    total = drawn & _PART
    for shift in (16, 32, 48):
        total = total + ((drawn >> np.uint64(shift)) & _PART)
    return (total.astype(np.float64) - 2.0 * 65535.0) * _SCALE


_SCALE = float(1.0 / np.sqrt(4.0 * (65536.0**2 - 1.0) / 12.0))


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
