"""Two policies, a fixed number of trials each, success or failure: Barnard, Boschloo, Fisher and McNemar.

Barnard's test (pooled statistic) is the one to use: G. A. Barnard, "Significance tests for 2 x 2 tables", Biometrika
34, 1947; R. D. Boschloo, "Raised conditional level of significance for the 2 x 2-table when testing the equality of two
probabilities", Statistica Neerlandica 24, 1970, is as good. R. A. Fisher's exact test is conditional on the total of
successes and needs more trials for the same power. The first two maximise over the unknown common rate; here that is
the maximum of a polynomial (:mod:`.nuisance`), found to about 1e-9, where SciPy samples 32 points by default.

Two-sided means the statistic's absolute value (Barnard), the less likely tables (Fisher), and twice the one-sided
value (Boschloo, McNemar), as in SciPy. The first argument is the first policy: no orientation of a table to mistake.
All of them ask for independent trials; for the same initial conditions take :func:`mcnemar`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from robot_stack.evaluation.paired import PairedTable
from robot_stack.evaluation.paired import mcnemar as mcnemar_two_sided
from robot_stack.evaluation.statistics.nuisance import Array, log_choose, maximum
from robot_stack.evaluation.statistics.p_value import Counts, PValue, check_alternative
from robot_stack.evaluation.statistics.sequential import Alternative

_TIE = 1e-9
"""Tables whose statistics differ by less are equally extreme."""


def barnard(first: Counts, second: Counts, alternative: Alternative = "two_sided") -> PValue:
    """Barnard's unconditional exact test with the pooled z statistic.

    Args:
        first: successes of the first policy.
        second: successes of the second policy.
        alternative: what to look for.
    """
    check_alternative(alternative)
    z = pooled_z(first.trials, second.trials)
    observed = float(z[first.successes, second.successes])
    extreme = {"second_better": z, "first_better": -z, "two_sided": np.abs(z)}[alternative]
    value = _unconditional(extreme, first, second)
    return PValue(value, alternative, "Barnard", observed)


def boschloo(first: Counts, second: Counts, alternative: Alternative = "two_sided") -> PValue:
    """Boschloo's unconditional exact test: Barnard's idea with Fisher's one-sided p-value as the statistic.

    Args:
        first: successes of the first policy.
        second: successes of the second policy.
        alternative: what to look for; two-sided is twice the smaller one-sided value.
    """
    check_alternative(alternative)
    if alternative == "two_sided":
        sides: tuple[Alternative, Alternative] = ("second_better", "first_better")
        value = min(1.0, 2 * min(boschloo(first, second, side).value for side in sides))
        return PValue(value, alternative, "Boschloo")
    if alternative == "first_better":
        return PValue(boschloo(second, first, "second_better").value, alternative, "Boschloo")
    tails = fisher_tails(first.trials, second.trials)
    value = _unconditional(-np.log(np.maximum(tails, 1e-300)), first, second)
    return PValue(value, alternative, "Boschloo", float(tails[first.successes, second.successes]))


def fisher(first: Counts, second: Counts, alternative: Alternative = "two_sided") -> PValue:
    """Fisher's exact test, conditional on the total of successes.

    Args:
        first: successes of the first policy.
        second: successes of the second policy.
        alternative: what to look for; two-sided adds up all tables that are no more likely than the observed one.
    """
    check_alternative(alternative)
    a, b, m = (first, second, alternative) if alternative != "first_better" else (second, first, alternative)
    total = a.successes + b.successes
    j = np.arange(max(0, total - a.trials), min(total, b.trials) + 1)
    log_p = log_choose(a.trials)[total - j] + log_choose(b.trials)[j] - log_choose(a.trials + b.trials)[total]
    chances = np.exp(log_p - special.logsumexp(log_p))
    observed = b.successes - int(j[0])
    if m == "two_sided":
        value = float(chances[chances <= chances[observed] * (1 + _TIE)].sum())
    else:
        value = float(chances[observed:].sum())
    return PValue(min(1.0, value), alternative, "Fisher")


def mcnemar(table: PairedTable, alternative: Alternative = "two_sided") -> PValue:
    """McNemar's exact test for policies that met the same initial conditions.

    Args:
        table: the counts of pairs.
        alternative: what to look for.
    """
    check_alternative(alternative)
    discordant = table.first_only + table.second_only
    if alternative == "two_sided":
        return PValue(mcnemar_two_sided(table), alternative, "McNemar")
    wins = table.second_only if alternative == "second_better" else table.first_only
    value = 1.0 if wins == 0 else float(special.bdtrc(wins - 1, discordant, 0.5))
    return PValue(value, alternative, "McNemar")


def pooled_z(first_trials: int, second_trials: int) -> Array:
    """The pooled z statistic of every table, positive where the second did better; shape (n0+1, n1+1)."""
    n0, n1 = max(1, first_trials), max(1, second_trials)
    k0, k1 = np.arange(first_trials + 1.0)[:, None], np.arange(second_trials + 1.0)[None, :]
    pooled = (k0 + k1) / max(1, first_trials + second_trials)
    variance = pooled * (1 - pooled) * (1 / n0 + 1 / n1)
    gap = k1 / n1 - k0 / n0
    if first_trials == 0 or second_trials == 0:
        return np.zeros_like(gap)
    return np.divide(gap, np.sqrt(variance), out=np.zeros_like(gap), where=variance > 0)


def conditional_weights(first_trials: int, second_trials: int) -> Array:
    """Probability of every table given its total of successes, when both are equally good; shape (n0+1, n1+1)."""
    total = np.add.outer(np.arange(first_trials + 1), np.arange(second_trials + 1))
    ways = np.add.outer(log_choose(first_trials), log_choose(second_trials))
    return np.exp(ways - log_choose(first_trials + second_trials)[total])


def fisher_tails(first_trials: int, second_trials: int) -> Array:
    """Fisher's one-sided p-value ("second better") of every table; shape (n0+1, n1+1)."""
    weights = conditional_weights(first_trials, second_trials)
    i, j = np.indices(weights.shape)
    by_total = np.zeros((first_trials + second_trials + 1, second_trials + 1))
    by_total[i + j, j] = weights
    tails = np.cumsum(by_total[:, ::-1], axis=1)[:, ::-1]
    return tails[i + j, j]


def rejection_by_total(region: NDArray[np.bool_], weights: Array) -> Array:
    """Probability of the region given the total of successes: coefficients for :mod:`.nuisance`."""
    total = np.add.outer(np.arange(weights.shape[0]), np.arange(weights.shape[1]))
    kept = np.bincount(total[region], weights[region], sum(weights.shape) - 1).astype(np.float64)
    return np.clip(kept, 0.0, 1.0)


def _unconditional(extreme: Array, first: Counts, second: Counts) -> float:
    """Largest probability, over the common rate, of a table at least as extreme as the observed one."""
    region = extreme >= extreme[first.successes, second.successes] - _TIE
    weights = conditional_weights(first.trials, second.trials)
    return min(1.0, maximum(rejection_by_total(region, weights)))
