"""Rejection regions of the sequential Barnard test, with exact control of the error rate.

The problem is that of D. Snyder, A. J. Hancock, A. Badithela, E. Dixon, P. Miller, R. A. Ambrus, A. Majumdar,
M. Itkina and H. Nishimura, "Is your imitation learning policy better than mine? Policy comparison with near-optimal
stopping" (STEP), RSS 2025: pairs of successes and failures come one by one, at most ``n_max`` of them; after t pairs
the first policy has s0 and the second s1 successes; when to say that the second is better, so that under equal rates
p this is ever said with probability at most alpha, whatever p is? This solution is written from first principles:
nothing is randomised, and no linear program is solved.

How it works:

* Under equal rates every order of t pairs with s0 and s1 successes is equally likely, so the chance Q[t, s0, s1] that
  the test has not stopped given those counts does not depend on p. One propagation of Q serves every p; the risk of a
  state at rate p is ``Q (t, s0) (t, s1) p^s (1-p)^(2t-s)`` with s = s0 + s1. Q lies in [0, 1]: nothing underflows.
* At pair t the risk spent so far may reach ``alpha (t / n_max)**spending`` at every rate. States join the region in
  the order of their likelihood ratio. One that would overspend somewhere is passed over and the next is tried: states
  with other s spend at other rates, and this is where rates near 0 and 1 gain over adding whole levels.
* A state joins only after those with fewer s0 or more s1, so regions are monotone: a path with more successes of the
  second and fewer of the first is rejected no later. Hence (coupling) no p1 <= p0 has more risk than p0 = p1.
* Success and failure are treated alike: with (s0, s1) also (t - s1, t - s0) joins, so rates up to 1/2 are enough.
* The risk is checked on a grid while building and then bounded everywhere (:mod:`.nuisance`); if the bound exceeds
  alpha, the region is built again with what was missing taken off.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.nuisance import Array, Maximum, arcsine_grid, certified_maximum, log_choose
from robot_stack.evaluation.statistics.sequential import check_alpha

N_MOST = 1000
"""Largest number of pairs: takes about 20 s and grows with its cube."""


@dataclass(frozen=True)
class Regions:
    """When to stop, for every number of pairs and every count of successes."""

    n_max: int
    """Largest number of pairs."""

    alpha: float
    """Bound of the error rate, one-sided."""

    spending: float
    """Exponent of the risk that may be spent by pair t: ``alpha (t / n_max)**spending``."""

    thresholds: NDArray[np.int16]
    """Shape (n_max+1, n_max+1): after t pairs with s0 successes of the first policy, the second is better from
    ``thresholds[t, s0]`` successes on; t + 1 if never. Rows t use the columns 0 to t."""

    size: Maximum
    """The error rate: largest value, where, and the bound that holds for every success rate."""

    def rejects(self, pairs: int, first: int, second: int) -> bool:
        """Whether these counts of successes show the second policy to be better."""
        return second >= int(self.thresholds[pairs, first])

    @property
    def fingerprint(self) -> str:
        """Names these regions in a plan or report: equal fingerprints, equal decisions."""
        return hashlib.sha256(np.ascontiguousarray(self.thresholds, dtype="<i2").tobytes()).hexdigest()[:16]


def build_regions(n_max: int, alpha: float, spending: float = 1.0) -> Regions:
    """Compute the regions: about 0.3 s for 200 pairs, 3 s for 500.

    Args:
        n_max: largest number of pairs, 1 to 1000.
        alpha: bound of the error rate, one-sided.
        spending: 1 spends evenly; above 1 keeps more for the end: more power, later decisions.

    Raises:
        ConfigError: if a parameter is out of range.
    """
    check_alpha(alpha)
    if not 1 <= n_max <= N_MOST:
        raise ConfigError("the largest number of pairs is out of range", got=n_max, expected=f"1 to {N_MOST}")
    if not 0.1 <= spending <= 10:
        raise ConfigError("the exponent of the spending is out of range", got=spending, expected="0.1 to 10")
    excess = 1e-7 * n_max * alpha  # of the bound over the grid: a guess with which one pass is enough as a rule
    for _ in range(8):
        aim = alpha - excess
        thresholds, surviving = _Builder(n_max, aim, spending).run()
        size = certified_maximum(rejection_coefficients(surviving), gap=min(1e-7, 1e-4 * alpha), high=0.5)
        if size.bound <= alpha:
            return Regions(n_max, alpha, spending, thresholds, size)
        excess = 1.2 * max(excess, size.bound - aim)
    raise ConfigError("no region keeps this error rate", got=alpha, remedy="choose a larger alpha")


def rejection_coefficients(surviving: Array) -> Array:
    """Chance of rejection given the number of successes of both policies together, when they are equally good.

    Args:
        surviving: Q at the last pair, shape (n+1, n+1).

    Returns:
        Coefficients for :mod:`.nuisance`, shape (2n+1,).
    """
    n = len(surviving) - 1
    total = np.add.outer(np.arange(n + 1), np.arange(n + 1))
    ways = log_choose(n)
    share = np.exp(ways[:, None] + ways[None, :] - log_choose(2 * n)[total])
    kept = np.bincount(total.ravel(), (surviving * share).ravel(), 2 * n + 1).astype(np.float64)
    return np.clip(1 - kept, 0.0, 1.0)


def propagate(surviving: Array, t: int) -> Array:
    """Q before the look at pair ``t`` from Q after the look at the pair before; shape (t+1, t+1).

    Given s0 successes among t, the last of them was a success with probability s0 / t, whatever the rate.
    """
    before = np.zeros((t + 2, t + 2))
    before[1:-1, 1:-1] = surviving
    share = np.arange(t + 1) / t
    hit, miss = share[:, None], 1 - share[:, None]
    after_first = hit * before[:-1, :] + miss * before[1:, :]
    return share * after_first[:, :-1] + (1 - share) * after_first[:, 1:]


class _Builder:
    """Builds the regions pair by pair."""

    def __init__(self, n_max: int, alpha: float, spending: float) -> None:
        self.n_max, self.alpha, self.spending = n_max, alpha, spending
        rates = arcsine_grid(max(128, n_max // 4) + 1, 0.5)[1:]
        self.log_p, self.log_q = np.log(rates), np.log1p(-rates)
        self.spent = np.zeros(len(rates))

    def run(self) -> tuple[NDArray[np.int16], Array]:
        """Thresholds of all pairs, and Q after the last look."""
        thresholds = np.zeros((self.n_max + 1, self.n_max + 1), dtype=np.int16)
        thresholds[0] = 1
        surviving = np.ones((1, 1))
        for t in range(1, self.n_max + 1):
            surviving = propagate(surviving, t)
            region = self._look(t, surviving)
            surviving[region] = 0
            thresholds[t, : t + 1] = t + 1 - region.sum(axis=1)
        return thresholds, surviving

    def _look(self, t: int, q: Array) -> NDArray[np.bool_]:
        """The region at pair ``t``: what can no longer be reached, and then state after state."""
        ways, budget = log_choose(t), self.alpha * (t / self.n_max) ** self.spending
        evidence = _log_likelihood_ratio(t)
        region = _unreachable(q)
        joinable = ~region
        joinable[1:, :] &= region[:-1, :]
        joinable[:, :-1] &= region[:, 1:]
        heap = [(-evidence[a, b], a, b) for a, b in np.argwhere(joinable).tolist() if a < b and a + b <= t]
        heapq.heapify(heap)
        while heap:
            _, a, b = heapq.heappop(heap)
            if not self._spend(t, a, b, q, float(ways[a] + ways[b]), budget):
                continue
            region[a, b] = region[t - b, t - a] = True
            for x, y in ((a + 1, b), (a, b - 1)):  # each becomes joinable with the second of its two neighbours
                inside = x < y and x + y <= t and not region[x, y]
                if inside and (x == 0 or region[x - 1, y]) and (y == t or region[x, y + 1]):
                    heapq.heappush(heap, (-evidence[x, y], x, y))
        return region

    def _spend(self, t: int, a: int, b: int, q: Array, ways: float, budget: float) -> bool:
        """Add the risk of a state and its mirror image, unless that overspends at some rate."""
        s = a + b
        risk = q[a, b] * np.exp(ways + s * self.log_p + (2 * t - s) * self.log_q)
        if s < t:  # states on the middle line are their own mirror image
            risk += q[t - b, t - a] * np.exp(ways + (2 * t - s) * self.log_p + s * self.log_q)
        after = self.spent + risk
        if after.max() > budget:
            return False
        self.spent = after
        return True


def _unreachable(q: Array) -> NDArray[np.bool_]:
    """States that, with all states more extreme, lie beyond those at which the test would have stopped before."""
    reached = q > 0
    reached = np.maximum.accumulate(reached, axis=0)
    return ~np.maximum.accumulate(reached[:, ::-1], axis=1)[:, ::-1]


def _log_likelihood_ratio(t: int) -> Array:
    """Of separate rates over one common rate, rounded so that the order does not hang on the last bits."""
    k = np.arange(t + 1.0)
    own = special.xlogy(k, k / t) + special.xlogy(t - k, 1 - k / t)
    total = np.add.outer(k, k)
    common = special.xlogy(total, total / (2 * t)) + special.xlogy(2 * t - total, 1 - total / (2 * t))
    return np.round(own[:, None] + own[None, :] - common, 9)
