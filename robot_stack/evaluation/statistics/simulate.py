"""Many trials at once through the tests that have no exact operating figures: error rates and power by simulation.

The arithmetic is that of the tests' ``update``, written over arrays of trials; tests hold the two against each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_stack.core.seeding import generator
from robot_stack.evaluation.intervals import Proportion, clopper_pearson
from robot_stack.evaluation.statistics.betting import PairedScores, growth_bet
from robot_stack.evaluation.statistics.e_process import EProcess
from robot_stack.evaluation.statistics.nuisance import Array
from robot_stack.evaluation.statistics.operating import PairLaw
from robot_stack.evaluation.statistics.sequential_pairs import SequentialPairs

_CHUNK = 4000
"""Trials at a time, so that memory stays small."""


@dataclass(frozen=True)
class Simulated:
    """When simulated trials were decided in favour of the second policy; the other direction is the mirror image."""

    decided_at: NDArray[np.int64]
    """Pair of the decision for every trial; 0 if none fell."""

    pairs: int
    """Pairs of each trial."""

    @property
    def rate(self) -> Proportion:
        """Share of the trials that called the second better, with the exact 99% interval."""
        return clopper_pearson(int((self.decided_at > 0).sum()), len(self.decided_at), 0.99)

    @property
    def expected_pairs(self) -> float:
        """Mean number of pairs, trials without a decision counted in full."""
        return float(np.where(self.decided_at > 0, self.decided_at, self.pairs).mean())

    def pairs_for(self, power: float) -> int | None:
        """Pairs by which this share of the trials has been decided; ``None`` if never."""
        needed = math.ceil(power * len(self.decided_at))
        times = np.sort(self.decided_at[self.decided_at > 0])
        return int(times[needed - 1]) if len(times) >= needed else None


def draw_pairs(law: PairLaw, trials: int, pairs: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Outcomes of the first and of the second policy; both of shape (trials, pairs)."""
    rng, edges = generator(seed, trials, pairs), np.cumsum([law.neither, law.second_only, law.first_only])
    first, second = np.empty((trials, pairs), dtype=np.int8), np.empty((trials, pairs), dtype=np.int8)
    for i in range(0, trials, _CHUNK):
        rows = slice(i, min(trials, i + _CHUNK))
        cell = np.searchsorted(edges, rng.random((rows.stop - i, pairs)), side="right")
        first[rows], second[rows] = cell >= 2, (cell == 1) | (cell == 3)
    return first, second


def simulate_e_process(test: EProcess, first: NDArray[np.int8], second: NDArray[np.int8]) -> Simulated:
    """Feed these outcomes to the direction "second better".

    Args:
        test: its alpha is halved if it is two-sided.
        first: outcomes of the first policy, shape (trials, pairs).
        second: outcomes of the second policy.
    """
    trials, pairs = first.shape
    needed = -math.log(test.alpha / 2 if test.alternative == "two_sided" else test.alpha)
    s0, s1, evidence = np.zeros(trials), np.zeros(trials), np.zeros(trials)
    decided = np.zeros(trials, dtype=np.int64)
    for t in range(pairs):
        x, y, total = first[:, t], second[:, t], t + test.weak + test.strong
        low, high = (test.weak + s0) / total, (test.strong + s1) / total
        middle = (low + high) / 2
        factor = np.where(x, low / middle, (1 - low) / (1 - middle)) * np.where(
            y, high / middle, (1 - high) / (1 - middle)
        )
        evidence += np.where(high > low, np.log(factor), 0.0)
        s0, s1 = s0 + x, s1 + y
        decided[(decided == 0) & (evidence >= needed)] = t + 1
    return Simulated(decided, pairs)


def simulate_paired_scores(test: PairedScores, first: Array, second: Array) -> Simulated:
    """Feed these scores to the direction "second better"; as :func:`simulate_e_process`."""
    trials, pairs = first.shape
    needed = -math.log(test.alpha / 2 if test.alternative == "two_sided" else test.alpha)
    total, squares, won = np.zeros(trials), np.zeros(trials), np.zeros(trials)
    decided = np.zeros(trials, dtype=np.int64)
    for t in range(pairs):
        gap = second[:, t] - first[:, t]
        won += np.log1p(np.maximum(growth_bet(t, total, squares), 0.0) * gap)
        total, squares = total + gap, squares + gap * gap
        decided[(decided == 0) & (won >= needed)] = t + 1
    return Simulated(decided, pairs)


def simulate_pairs(test: SequentialPairs, first: NDArray[np.int8], second: NDArray[np.int8]) -> Simulated:
    """Feed these outcomes to the direction "second better"; as :func:`simulate_e_process`."""
    starts = range(0, len(first), _CHUNK)
    chunks = [_simulate_pairs(test, first[i : i + _CHUNK], second[i : i + _CHUNK]) for i in starts]
    return Simulated(np.concatenate(chunks), first.shape[1])


def _simulate_pairs(test: SequentialPairs, first: NDArray[np.int8], second: NDArray[np.int8]) -> NDArray[np.int64]:
    trials, pairs = first.shape
    whole = np.zeros((trials, pairs + 2))  # column b: came to b wins of the second without stopping
    whole[:, 0] = 1.0
    wins, discordant = np.zeros(trials, dtype=np.int64), np.zeros(trials, dtype=np.int64)
    spent, decided = np.zeros(trials), np.zeros(trials, dtype=np.int64)
    for t in range(pairs):
        alive, columns = whole[:, : t + 3], np.arange(min(t + 3, pairs + 2))
        differ = first[:, t] != second[:, t]
        half = alive[differ] / 2  # one more fair coin
        half[:, 1:] += half[:, :-1].copy()
        alive[differ] = half
        discordant += differ
        wins += second[:, t] > first[:, t]
        above = np.cumsum(alive[:, ::-1], axis=1)[:, ::-1]
        allowed = spent[:, None] + above <= float(test.budget(t + 1)) * (1 + 1e-12)
        allowed &= 2 * columns[None, :] > discordant[:, None]
        threshold = allowed.argmax(axis=1)  # the last column is always allowed: more wins than pairs
        spent += above[np.arange(trials), threshold]
        alive[columns[None, :] >= threshold[:, None]] = 0.0
        decided[(decided == 0) & (wins >= threshold)] = t + 1
    return decided
