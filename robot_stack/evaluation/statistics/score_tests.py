"""Two policies, a fixed number of scores each: Welch's t and permutation tests for the difference of their means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.statistics.nuisance import Array
from robot_stack.evaluation.statistics.p_value import PValue, check_alternative
from robot_stack.evaluation.statistics.sequential import Alternative

_EXACT_MOST = 100_000
"""Rearrangements up to which a permutation test goes through all of them."""


def welch(
    first: Sequence[float] | Array, second: Sequence[float] | Array, alternative: Alternative = "two_sided"
) -> PValue:
    """Welch's t test: means of independent scores with variances that may differ.

    B. L. Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 34, 1947. Approximate: with fewer than about 15 scores each, or many equal ones, prefer
    :func:`permutation`.

    Args:
        first: scores of the first policy.
        second: scores of the second policy; their number may differ.
        alternative: what to look for.

    Raises:
        ConfigError: with fewer than two scores of a policy, or if no score varies.
        NonFiniteError: if a score is not finite.
    """
    check_alternative(alternative)
    a, b = _scores(first, 2), _scores(second, 2)
    va, vb = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    if va + vb == 0:
        raise ConfigError(
            "no score varies within a policy, so a t test has no measure of chance",
            got=f"all {a[0]:g} and all {b[0]:g}",
            remedy="use permutation(), which needs no variance",
        )
    t = float(b.mean() - a.mean()) / math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    upper, lower = float(special.stdtr(freedom, -t)), float(special.stdtr(freedom, t))
    return PValue(_one_of(upper, lower, alternative), alternative, "Welch", t)


def permutation(
    first: Sequence[float] | Array,
    second: Sequence[float] | Array,
    alternative: Alternative = "two_sided",
    *,
    paired: bool = False,
    resamples: int = 20_000,
    seed: int = 0,
) -> PValue:
    """Permutation test of the difference of means: exact if the policies are exchangeable.

    All rearrangements are gone through if there are at most 100,000; otherwise a random sample is drawn and the
    observed one counts among them (B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Stat. Appl.
    Genet. Mol. Biol. 9:39, 2010), so the error rate holds all the same.

    Args:
        first: scores of the first policy.
        second: scores of the second policy.
        alternative: what to look for; two-sided is twice the smaller one-sided value.
        paired: the i-th scores come from the same initial condition; they are only exchanged with each other.
        resamples: how many to draw where there are too many.
        seed: of the draws; equal arguments give equal values.

    Raises:
        ConfigError: without scores.
        ShapeError: if paired scores differ in number.
        NonFiniteError: if a score is not finite.
    """
    check_alternative(alternative)
    a, b = _scores(first, 1), _scores(second, 1)
    observed = float(b.mean() - a.mean())
    if paired:
        differences, exact = _flipped(a, b, resamples, seed)
    else:
        differences, exact = _exchanged(a, b, resamples, seed)
    tie = 1e-12 * max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
    extra = 0 if exact else 1
    count = len(differences) + extra
    upper = (int((differences >= observed - tie).sum()) + extra) / count
    lower = (int((differences <= observed + tie).sum()) + extra) / count
    method = "permutation of pairs" if paired else "permutation"
    return PValue(_one_of(upper, lower, alternative), alternative, method, observed)


def _one_of(upper: float, lower: float, alternative: Alternative) -> float:
    """The value asked for, from "second larger by chance" and "second smaller by chance"."""
    two = min(1.0, 2 * min(upper, lower))
    return {"second_better": upper, "first_better": lower, "two_sided": two}[alternative]


def _flipped(a: Array, b: Array, resamples: int, seed: int) -> tuple[Array, bool]:
    """Mean differences with the pairs' members exchanged in all ways, or in some."""
    if len(a) != len(b):
        raise ShapeError("paired scores differ in number", got=(len(a), len(b)))
    gaps = (b - a)[b != a]  # equal scores cannot be told apart
    n = len(gaps)
    if 2**n <= _EXACT_MOST:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
        return signs @ gaps / len(a), True
    rng = generator(seed)
    sums = [rng.choice((-1.0, 1.0), (min(1000, resamples - i), n)) @ gaps for i in range(0, resamples, 1000)]
    return np.concatenate(sums) / len(a), False


def _exchanged(a: Array, b: Array, resamples: int, seed: int) -> tuple[Array, bool]:
    """Mean differences with the scores dealt to the policies in all ways, or in some."""
    pool, n, m = np.concatenate([a, b]), len(a), len(b)
    chosen: NDArray[np.int64]
    if exact := math.comb(n + m, m) <= _EXACT_MOST:
        chosen = np.array(list(itertools.combinations(range(n + m), m)))
        sums = pool[chosen].sum(axis=1)
    else:
        rng = generator(seed)
        tables = (np.tile(pool, (min(1000, resamples - i), 1)) for i in range(0, resamples, 1000))
        sums = np.concatenate([rng.permuted(table, axis=1)[:, :m].sum(axis=1) for table in tables])
    return sums / m - (pool.sum() - sums) / n, exact


def _scores(values: Sequence[float] | Array, least: int) -> Array:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1:
        raise ShapeError("scores are not a plain list", got=scores.shape, expected="(trials,)")
    if len(scores) < least:
        raise ConfigError("too few scores for this test", got=len(scores), expected=f"at least {least} of each policy")
    if not np.isfinite(scores).all():
        raise NonFiniteError("a score is not finite", where=f"trial {int(np.flatnonzero(~np.isfinite(scores))[0])}")
    return scores
