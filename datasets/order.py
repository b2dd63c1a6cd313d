"""Shuffled order as a pure function: which item stands at a place, without holding the permutation in memory.

A Feistel network over a rectangle of numbers (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002) is a
permutation of ``0 … a·b − 1`` for any round functions; places that fall outside ``0 … size − 1`` are sent through it
again until they fall inside ("cycle walking"). The round functions are counter-based hashes of seed, epoch and round.
"""

from __future__ import annotations

import math

import numpy as np

_ROUNDS = 6
_GOLDEN = 0x9E3779B97F4A7C15
_U64 = np.uint64
_MIX_1 = _U64(0xBF58476D1CE4E5B9)
_MIX_2 = _U64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def shuffled(places: np.ndarray, size: int, *, seed: int, epoch: int | np.ndarray = 0) -> np.ndarray:
    """The items that stand at some places of a shuffled order of ``size`` items.

    Args:
        places: integers in ``0 … size − 1``, shape ``(n,)``.
        size: number of items, at least 1.
        seed: chooses the family of orders.
        epoch: chooses the order in the family; one for all places or one for each, shape ``(n,)``.

    Returns:
        Items in ``0 … size − 1``, int64 of shape ``(n,)``; for fixed seed and epoch different places give
        different items.
    """
    side = math.isqrt(size - 1) + 1 if size > 1 else 1
    other = -(-size // side)
    family = _mix(np.array([(seed + _GOLDEN) & _MASK], dtype=_U64))
    keys = _mix(family + np.atleast_1d(np.asarray(epoch, dtype=_U64)))
    keys = np.broadcast_to(keys, places.shape)
    out = _permute(places.astype(_U64), keys, _U64(side), _U64(other))
    outside = np.flatnonzero(out >= size)
    while len(outside):
        out[outside] = _permute(out[outside], keys[outside], _U64(side), _U64(other))
        outside = outside[out[outside] >= size]
    return out.astype(np.int64)


def _permute(x: np.ndarray, keys: np.ndarray, a: np.uint64, b: np.uint64) -> np.ndarray:
    """One pass of the network over ``0 … a·b − 1``."""
    left, right = x % a, x // a
    for round_ in range(_ROUNDS):
        salt = _U64((_GOLDEN * (round_ + 1)) & _MASK)
        if round_ % 2 == 0:
            left = (left + _mix(right + keys + salt) % a) % a
        else:
            right = (right + _mix(left + keys + salt) % b) % b
    return left + right * a


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014), element by element."""
    x = (x ^ (x >> _U64(30))) * _MIX_1
    x = (x ^ (x >> _U64(27))) * _MIX_2
    return x ^ (x >> _U64(31))
