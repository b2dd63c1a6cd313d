"""The simulated tables of docs/evaluation.md; run trial_statistics.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_stack.core.seeding import generator
from robot_stack.evaluation.intervals import clopper_pearson
from robot_stack.evaluation.statistics.betting import PairedScores, log_capital, stakes
from robot_stack.evaluation.statistics.e_process import EProcess
from robot_stack.evaluation.statistics.operating import operating, pair_law
from robot_stack.evaluation.statistics.power import peeking_thresholds
from robot_stack.evaluation.statistics.prediction_powered import ppi_mean, ppi_safe
from robot_stack.evaluation.statistics.rate_sequence import anytime
from robot_stack.evaluation.statistics.score_tests import permutation, welch
from robot_stack.evaluation.statistics.sequential import Decision, SequentialTest, fold
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard
from robot_stack.evaluation.statistics.sequential_pairs import SequentialPairs
from robot_stack.evaluation.statistics.simulate import (
    Simulated,
    draw_pairs,
    simulate_e_process,
    simulate_paired_scores,
    simulate_pairs,
)

TRIALS = 100_000
A_A_RATES = (0.2, 0.5, 0.9, 0.5)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join("" if c is None else str(c) for c in row) + " |" for row in rows])


def rate_of(got: Simulated) -> str:
    return f"{got.rate.rate:.4f} [{got.rate.low:.4f}, {got.rate.high:.4f}]"


def simulated() -> str:
    """Error rates and power of the tests without exact figures; 99% intervals."""
    rows: list[tuple[object, ...]] = []
    e_process, scores = EProcess(0.05, "second_better"), PairedScores(0.05, "second_better")
    for first, second, pairs in ((0.5, 0.5, 500), (0.9, 0.9, 500), (0.02, 0.02, 500), (0.5, 0.7, 200), (0.7, 0.9, 200)):
        got = simulate_e_process(e_process, *draw_pairs(pair_law(first, second), TRIALS, pairs, seed=1))
        mean = f"{got.expected_pairs:.1f}"
        rows.append(("e-process", f"{first:g} → {second:g}", pairs, rate_of(got), mean, got.pairs_for(0.8)))
    for first, second, rho in ((0.5, 0.5, 0.0), (0.5, 0.5, 0.6), (0.9, 0.9, 0.3), (0.5, 0.7, 0.0), (0.5, 0.65, 0.6)):
        got = simulate_pairs(
            SequentialPairs(100, 0.05, "second_better"), *draw_pairs(pair_law(first, second, rho), TRIALS, 100, seed=2)
        )
        what = f"{first:g} → {second:g}, correlation {rho:g}"
        rows.append(("sequential pairs", what, 100, rate_of(got), f"{got.expected_pairs:.1f}", got.pairs_for(0.8)))
    rng = generator(3)
    for shift in (0, 1):
        first, second = (np.clip(rng.integers(0, 5, (TRIALS, 150)) + d, 0, 4) / 4 for d in (0, shift))
        got = simulate_paired_scores(scores, first, second)
        what = f"milestones of four, {first.mean():.2f} → {second.mean():.2f}"
        rows.append(("paired scores", what, 150, rate_of(got), f"{got.expected_pairs:.1f}", got.pairs_for(0.8)))
    head = ("test", "rates", "pairs", "calls the second better [99% interval]", "mean pairs", "pairs for 80%")
    return table(head, rows)


def power_of_pairs(first: float, second: float, rho: float) -> float:
    """Of the sequential test of pairs, n_max 100, one-sided 0.05."""
    test = SequentialPairs(100, 0.05, "second_better")
    return simulate_pairs(test, *draw_pairs(pair_law(first, second, rho), TRIALS, 100, seed=4)).rate.rate


def a_a() -> str:
    """1,000 A/A trials through the public interface: the same policy under two names, two-sided, alpha 0.05.

    Beside them the error rate in the long run: exact for Barnard, else 100,000 trials of each direction.
    """
    tests: dict[str, tuple[SequentialTest, int]] = {
        "sequential Barnard": (SequentialBarnard(200), 200),
        "sequential pairs": (SequentialPairs(200), 200),
        "e-process": (EProcess(), 500),
        "paired scores": (PairedScores(), 200),
    }
    rows = []
    for name, (test, pairs) in tests.items():
        rng, wrong = generator(5), 0
        for rate in np.tile(A_A_RATES, 250):
            outcomes = (rng.random((pairs, 2)) < rate).astype(int).tolist()
            wrong += fold(test, [(a, b) for a, b in outcomes]).decision in (
                Decision.FIRST_BETTER,
                Decision.SECOND_BETTER,
            )
        share = clopper_pearson(wrong, 1000)
        seen = f"{share.rate:.3f} [{share.low:.3f}, {share.high:.3f}]"
        rows.append((name, pairs, f"{wrong} of 1000", seen, _long_run(test, pairs)))
    thresholds = peeking_thresholds(200, 0.025)
    naive = [operating(thresholds, thresholds, pair_law(p, p)).decided for p in A_A_RATES]
    rows.append(("peeking with Barnard's test at 5%, two-sided", 200, "", "", f"{np.mean(naive):.4f}, exact"))
    return table(("test", "pairs", "false alarms", "rate [95% interval]", "in the long run"), rows)


def _long_run(test: SequentialTest, pairs: int) -> str:
    if isinstance(test, SequentialBarnard):
        return f"{np.mean([test.operating(pair_law(p, p)).decided for p in A_A_RATES]):.4f}, exact"
    total = 0.0
    for seed, rate in enumerate(A_A_RATES):
        first, second = draw_pairs(pair_law(rate, rate), TRIALS // 4, pairs, seed=10 + seed)
        for a, b in ((first, second), (second, first)):
            if isinstance(test, SequentialPairs):
                got = simulate_pairs(test, a, b)
            elif isinstance(test, EProcess):
                got = simulate_e_process(test, a, b)
            else:
                assert isinstance(test, PairedScores)
                got = simulate_paired_scores(test, a.astype(np.float64), b.astype(np.float64))
            total += got.rate.rate / 4
    return f"{total:.4f}, simulated"


def scores() -> str:
    """Tests of scores with 5 and 20 trials of each: scores 0, 1/4, …, 1, one-sided 0.05, simulated."""
    rows = []
    for n, repeats in ((5, TRIALS), (20, TRIALS)):
        for shift in (0, 1):
            rng = generator(6, n, shift)
            first = rng.integers(0, 5, (repeats, n)) / 4
            second = np.clip(rng.integers(0, 5, (repeats, n)) + shift, 0, 4) / 4
            usable = (np.ptp(first, axis=1) + np.ptp(second, axis=1)) > 0
            hits = sum(
                float(welch(a, b, "second_better")) <= 0.05 for a, b in zip(first[usable], second[usable], strict=True)
            )
            shares = [f"{hits / repeats:.4f}"]
            if n == 5:
                hits = sum(
                    float(permutation(a, b, "second_better")) <= 0.05 for a, b in zip(first, second, strict=True)
                )
                shares.append(f"{hits / repeats:.4f}")
            else:
                shares.append("")
            rows.append((n, "equal" if not shift else "second one milestone better", *shares))
    return table(("trials of each", "policies", "Welch", "permutation, exact"), rows)


def coverage() -> str:
    """Intervals that may be looked at all the time: chance that any of them misses."""
    rows: list[tuple[object, ...]] = []
    for rate in (0.02, 0.5, 0.9):
        rows.append(("beta mixture", f"rate {rate:g}", 500, "0.05", f"{_missed_by_anytime(rate, 500):.4f}", "exact"))
    rng, needed = generator(7), np.log(2 / 0.05)
    kinds: dict[str, tuple[Callable[[], np.ndarray], float]] = {
        "rate 0.5": (lambda: (rng.random((10_000, 200)) < 0.5) * 1.0, 0.5),
        "rate 0.05": (lambda: (rng.random((10_000, 200)) < 0.05) * 1.0, 0.05),
        "milestones of four": (lambda: rng.integers(0, 5, (10_000, 200)) / 4, 0.5),
    }
    for kind, (draw, mean) in kinds.items():
        for planned in (None, 200):
            missed = 0
            for _ in range(TRIALS // 10_000):
                x = draw()
                bets = stakes(x, 0.95, planned)
                above = log_capital(x, bets, mean).max(axis=1) >= needed
                missed += int((above | (log_capital(1 - x, bets, 1 - mean).max(axis=1) >= needed)).sum())
            name = "betting, 200 planned" if planned else "betting"
            rows.append((name, kind, 200, "0.05", f"{missed / TRIALS:.4f}", "simulated"))
    return table(("interval", "scores", "trials", "allowed", "misses at any time", "how"), rows)


def _missed_by_anytime(rate: float, trials_: int) -> float:
    """Exact: the count's distribution is carried forward and what has been missed is taken out."""
    inside = np.ones(1)
    for n in range(1, trials_ + 1):
        inside = np.convolve(inside, (1 - rate, rate))
        for k in np.flatnonzero(inside > 0):
            got = anytime(int(k), n)
            if not got.low <= rate <= got.high:
                inside[k] = 0.0
    return 1 - float(inside.sum())


def simulators() -> str:
    """Prediction-powered intervals: misses of the 95% interval and mean width; true rate 0.6, 600 simulated trials."""
    rows = []
    for kind in ("good", "biased", "useless"):
        for n in (15, 30, 60, 120):
            rng, width, missed, saved = generator(8, n), 0.0, 0, 0.0
            for _ in range(TRIALS // 10):
                got = ppi_mean(*_world(kind, rng, n))
                missed += not got.low <= 0.6 <= got.high
                width, saved = width + got.high - got.low, saved + got.saved
            share = TRIALS // 10
            safe_missed = sum(not (i := ppi_safe(*_world(kind, rng, n))).low <= 0.6 <= i.high for _ in range(500))
            rows.append(
                (kind, n, f"{missed / share:.4f}", f"{width / share:.3f}", f"{saved / share:.2f}", f"{safe_missed}/500")
            )
    head = ("simulator", "real trials", "ppi_mean misses", "its mean width", "share of trials saved", "ppi_safe misses")
    return table(head, rows)


def _world(kind: str, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real scores at rate 0.6, simulated ones on the same starts, 600 more simulated."""
    hidden, other = rng.random(n + 600), rng.random(n + 600)
    if kind == "good":
        simulated_ = np.where(rng.random(n + 600) < 0.9, hidden < 0.6, other < 0.5)
    else:
        simulated_ = hidden < 0.85 if kind == "biased" else other < 0.8
    return (hidden[:n] < 0.6) * 1.0, simulated_[:n] * 1.0, simulated_[n:] * 1.0
