"""Strengths of policies from judgements of pairs: A better, B better, or a tie.

R. A. Bradley and M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39, 1952, with ties as in R. R.
Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", JASA 65, 1970:
the odds of A better : B better : tie are exp((s_A - s_B) / 2) : exp((s_B - s_A) / 2) : exp(t). The log-likelihood is
concave in the strengths s and in t, so Newton's method with step halving finds the maximum in a few steps, and its last
Hessian gives the standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.evaluation.intervals import normal_quantile
from robot_stack.evaluation.paired import Difference
from robot_stack.evaluation.statistics.nuisance import Array

Judgement = tuple[str, str, str]
"""Two policies, and which of them was better: ``"first"``, ``"second"`` or ``"tie"``."""


@dataclass(frozen=True)
class BradleyTerry:
    """Fitted strengths, on the scale of log-odds."""

    policies: tuple[str, ...]
    """Names, in the order given."""

    strengths: tuple[float, ...]
    """One for each policy; they add up to 0."""

    standard_errors: tuple[float, ...]
    """Of the strengths."""

    covariance: tuple[tuple[float, ...], ...]
    """Of the strengths."""

    tie: float | None
    """Log-odds of a tie between equals, against either winning; ``None`` if there were no ties."""

    judgements: int
    """How many."""

    log_likelihood: float
    """At the maximum, without the prior."""

    def probability(self, first: str, second: str) -> tuple[float, float, float]:
        """Chances that ``first`` is better, ``second`` is better, and of a tie."""
        gap = (self._of(first) - self._of(second)) / 2
        odds = np.exp([gap, -gap, -math.inf if self.tie is None else self.tie])
        win, loss, tie = (odds / odds.sum()).tolist()
        return win, loss, tie

    def difference(self, first: str, second: str, confidence: float = 0.95) -> Difference:
        """Strength of ``first`` minus that of ``second``, with the normal interval."""
        i, j = (self.policies.index(require_name("policy", name, self.policies)) for name in (first, second))
        c = self.covariance
        half = normal_quantile(confidence) * math.sqrt(max(0.0, c[i][i] + c[j][j] - 2 * c[i][j]))
        value = self.strengths[i] - self.strengths[j]
        return Difference(value, value - half, value + half, confidence, "Bradley-Terry")

    def _of(self, policy: str) -> float:
        return self.strengths[self.policies.index(require_name("policy", policy, self.policies))]

    def __str__(self) -> str:
        ranked = sorted(zip(self.strengths, self.standard_errors, self.policies, strict=True), reverse=True)
        return "; ".join(f"{name} {s:+.2f} ± {e:.2f}" for s, e, name in ranked)


def bradley_terry(policies: Sequence[str], judgements: Iterable[Judgement], *, prior: float = 0.0) -> BradleyTerry:
    """Fit the strengths.

    Args:
        policies: all names; at least two.
        judgements: any number for any pair.
        prior: imaginary wins of each policy over each other one, added before fitting. With 0 a policy that won (or
            lost) against all others has no finite strength; 0.5 is a mild prior that always gives an answer.

    Raises:
        ConfigError: if the strengths are not determined: there are two groups of policies between which nothing was
            judged, or one of which never lost a point to the other.
        UnknownNameError: if a judgement names another policy or outcome.
    """
    wins, ties = _count(policies, judgements)
    if not 0 <= prior < math.inf:
        raise ConfigError("the prior is out of range", got=prior, expected="0 or more")
    n = len(policies)
    padded = wins + prior * (1 - np.eye(n))
    _check_determined(policies, padded + ties)
    x = np.zeros(n + 1)
    with_ties = bool(ties.any())
    free = n + 1 if with_ties else n
    value, gradient, hessian = _log_likelihood(x, padded, ties, with_ties)
    for _ in range(100):
        # Strengths are determined up to a constant: the added block keeps their sum at 0.
        fixed = hessian[:free, :free].copy()
        fixed[:n, :n] -= 1.0 / n
        step = np.zeros(n + 1)
        step[:free] = -np.linalg.solve(fixed, gradient[:free])
        scale = 1.0
        while (trial := _log_likelihood(x + scale * step, padded, ties, with_ties))[0] < value and scale > 1e-10:
            scale /= 2
        x, (value, gradient, hessian) = x + scale * step, trial
        if np.abs(step).max() < 1e-10:
            break
    fixed = hessian[:free, :free].copy()
    fixed[:n, :n] -= 1.0 / n
    covariance = (-np.linalg.inv(fixed))[:n, :n] - 1.0 / n  # without the direction that was only pinned
    own = _log_likelihood(x, wins, ties, with_ties)[0]
    return BradleyTerry(
        tuple(policies),
        tuple(x[:n].tolist()),
        tuple(np.sqrt(np.maximum(np.diag(covariance), 0)).tolist()),
        tuple(tuple(row) for row in covariance.tolist()),
        float(x[n]) if with_ties else None,
        int(wins.sum() + ties.sum() / 2),
        own,
    )


def _count(policies: Sequence[str], judgements: Iterable[Judgement]) -> tuple[Array, Array]:
    """Wins[i, j] of i over j, and ties, symmetric."""
    if len(policies) < 2 or len(set(policies)) < len(policies):
        raise ConfigError("strengths need at least two different policies", got=list(policies))
    wins, ties = np.zeros((len(policies),) * 2), np.zeros((len(policies),) * 2)
    place = {policy: i for i, policy in enumerate(policies)}
    for first, second, outcome in judgements:
        i, j = (place[require_name("policy", name, policies)] for name in (first, second))
        if i == j:
            raise ConfigError("a policy was judged against itself", got=first)
        require_name("judgement", outcome, ("first", "second", "tie"))
        if outcome == "tie":
            ties[i, j] += 1
            ties[j, i] += 1
        else:
            wins[(i, j) if outcome == "first" else (j, i)] += 1
    return wins, ties


def _log_likelihood(x: Array, wins: Array, ties: Array, with_ties: bool) -> tuple[float, Array, Array]:
    """Value, gradient and Hessian in the strengths and the tie parameter."""
    n = len(x) - 1
    value, gradient, hessian = 0.0, np.zeros(n + 1), np.zeros((n + 1, n + 1))
    for i in range(n):
        for j in range(i + 1, n):
            counts = np.array([wins[i, j], wins[j, i], ties[i, j]])
            if not counts.any():
                continue
            slope = np.zeros((3, n + 1))  # of the three log-odds
            slope[0, i] = slope[1, j] = 0.5
            slope[0, j] = slope[1, i] = -0.5
            slope[2, n] = 1.0
            odds = slope @ x
            if not with_ties:
                odds[2] = -math.inf
            log_p = odds - np.logaddexp.reduce(odds)
            p = np.exp(log_p)
            mean = p @ slope
            value += float(counts[counts > 0] @ log_p[counts > 0])
            gradient += counts @ slope - counts.sum() * mean
            hessian -= counts.sum() * ((slope.T * p) @ slope - np.outer(mean, mean))
    return value, gradient, hessian


def _check_determined(policies: Sequence[str], points: Array) -> None:
    """Every policy must reach every other one along wins or ties: L. R. Ford, Amer. Math. Monthly 64, 1957."""
    n = len(policies)
    reach = (points > 0) | np.eye(n, dtype=bool)
    for k in range(n):
        reach |= reach[:, k : k + 1] & reach[k : k + 1, :]
    if not reach.all():
        i = int(np.argwhere(~reach)[0][0])
        above = [policies[k] for k in range(n) if not reach[i, k]]
        raise ConfigError(
            "these judgements do not determine the strengths",
            got=f"no chain of wins or ties leads from {policies[i]!r} to {', '.join(repr(a) for a in above)}",
            remedy="judge more pairs, leave policies out, or give prior=0.5",
        )
