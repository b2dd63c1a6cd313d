"""Error rates and power of the tests for trials, beside published figures: the tables of docs/evaluation.md.

Run::

    python benchmarks/trial_statistics.py --write docs/evaluation.md

Each table stands between two comments of its name and is replaced. "Exact" figures follow the distribution of the
counts; the rest (trial_simulations.py) is simulated, 100,000 trials each unless a table says otherwise. Takes about
ten minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from trial_simulations import a_a, coverage, power_of_pairs, scores, simulated, simulators, table

from robot_stack.core.atomic import write_text
from robot_stack.evaluation.statistics.barnard_regions import build_regions
from robot_stack.evaluation.statistics.nuisance import maximum
from robot_stack.evaluation.statistics.operating import Operating, operating, pair_law
from robot_stack.evaluation.statistics.paired_power import mcnemar_power, mcnemar_size
from robot_stack.evaluation.statistics.power import (
    FixedTest,
    fixed_power,
    fixed_trials,
    peeking_thresholds,
    rejection_region,
    sequential_trials,
)
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard
from robot_stack.evaluation.statistics.two_by_two import conditional_weights, rejection_by_total


def one_sided(n_max: int, alpha: float = 0.05, spending: float = 1.0) -> SequentialBarnard:
    return SequentialBarnard(n_max, alpha, "second_better", spending)


def barnard_at(n_max: int, first: float, second: float, rho: float = 0.0) -> Operating:
    return one_sided(n_max).operating(pair_law(first, second, rho))


def type_one() -> str:
    """Sequential Barnard: the certified error rate."""
    rows = []
    for n_max in (20, 50, 100, 200, 500):
        for alpha in (0.05, 0.025, 0.01):
            begin = time.process_time()
            size = build_regions(n_max, alpha).size
            took = time.process_time() - begin
            rows.append((n_max, alpha, f"{size.value:.7f}", f"{size.at:.3f}", f"{size.bound:.7f}", f"{took:.2f} s"))
    return table(("n_max", "alpha", "largest error rate found", "at rate", "bound for every rate", "CPU time"), rows)


# n_max, rates; STEP: power, mean pairs; whole levels of pooled z with the same budget: power, mean pairs
PUBLISHED = (
    (50, 0.5, 0.7, 0.586, None, 0.5768, 37.5),
    (50, 0.5, 0.8, 0.909, None, 0.9061, 26.4),
    (50, 0.7, 0.9, 0.756, None, 0.7450, 33.9),
    (50, 0.9, 0.95, 0.187, None, 0.1540, 47.7),
    (50, 0.0, 0.1, 0.683, None, 0.5688, 42.0),
    (100, 0.5, 0.7, 0.847, 57.8, 0.842, 57.7),
    (100, 0.7, 0.9, 0.958, 45.7, 0.955, 46.5),
    (100, 0.0, 0.1, 0.983, 52.1, 0.976, 57.5),
    (200, 0.5, 0.7, 0.9854, 75.3, 0.9846, 75.0),
    (200, 0.8, 0.9, 0.8243, 119.2, 0.8175, 121.8),
)


def power() -> str:
    """Sequential Barnard beside STEP."""
    rows = []
    for n_max, first, second, step, step_mean, plain, plain_mean in PUBLISHED:
        ours = barnard_at(n_max, first, second)
        rows.append(
            (
                n_max,
                f"{first:g} → {second:g}",
                f"**{ours.second_better:.4f}** / {ours.expected_pairs:.1f}",
                f"{step:.4g}" + (f" / {step_mean}" if step_mean else ""),
                f"{plain:.4g} / {plain_mean}",
            )
        )
    return table(("n_max", "rates", "ours, exact: power / mean pairs", "STEP", "whole levels of pooled z"), rows)


# rates: STEP's pairs for power 0.8 by n_max, with its mean pairs; SAVI's pairs for 0.8, mean pairs capped at 200
TRIALS_FOR = (
    (0.5, 0.9, {50: (24, 17), 200: (31, 23)}, 30, 20),
    (0.5, 0.8, {50: (40, 27), 200: (55, 39)}, 62, 40),
    (0.5, 0.75, {100: (64, 44), 200: (76, 53)}, 95, 60),
    (0.5, 0.7, {100: (91, 58), 200: (110, 75)}, 161, 95),
    (0.6, 0.8, {100: (82, 54), 200: (98, 68)}, 141, 86),
    (0.7, 0.9, {100: (66, 46), 200: (78, 55)}, 96, 63),
    (0.8, 0.9, {200: (191, 119), 500: (241, 167)}, 340, 145),
    (0.8, 0.95, {100: (76, 52), 200: (90, 64)}, 112, 75),
    (0.7, 0.8, {500: (325, 219)}, 549, None),
    (0.5, 0.6, {500: (401, 260)}, 745, None),
    (0.9, 0.95, {500: (433, 278)}, 729, None),
)


def trials() -> str:
    """Trials of each policy for power 0.8, one-sided alpha 0.05."""
    rows = []
    for first, second, step, savi, savi_mean in TRIALS_FOR:
        fixed = fixed_trials("barnard", first, second, alternative="second_better").trials
        both = fixed_trials("barnard", first, second).trials
        ours, theirs = [], []
        for n_max, (pairs, mean) in step.items():
            got = barnard_at(n_max, first, second)
            ours.append(f"{got.pairs_for(0.8)} [{n_max}], {got.expected_pairs:.0f}")
            theirs.append(f"{pairs} [{n_max}], {mean}")
        open_ended = f"{savi}" + (f", {savi_mean}" if savi_mean else "")
        row = (f"{first:g} → {second:g}", f"{fixed} ({both})", "; ".join(ours), "; ".join(theirs), open_ended)
        rows.append(row)
    return table(("rates", "Barnard, fixed n (two-sided)", "sequential Barnard", "STEP", "SAVI"), rows)


def planning() -> str:
    """Trials that a plan needs, two-sided."""
    rows = []
    for first, second in ((0.5, 0.9), (0.5, 0.8), (0.5, 0.7), (0.7, 0.9), (0.8, 0.95), (0.8, 0.9)):
        fixed, sequential = fixed_trials("barnard", first, second), sequential_trials(first, second)
        mean = f"{sequential.expected:.0f}"
        rows.append((f"{first:g} against {second:g}", fixed.trials, sequential.trials, mean))
    return table(("rates", "fixed n", "n_max of the sequential test", "its mean pairs"), rows)


# rates on which a published study decided, n_max, alpha, published pairs to a decision: SAVI, Lai, STEP, oracle SPRT
STUDIES = (
    ("FoldRedTowel", 0.56, 0.92, 200, 0.05, "20 / 20 / 21 / 17"),
    ("FoldRedTowel", 0.56, 0.92, 500, 0.05, "20 / 20 / 23 / 17"),
    ("CleanUpSpill", 0.30, 0.76, 200, 0.05, "22 / 24 / 22 / 17"),
    ("CleanUpSpill", 0.30, 0.76, 500, 0.05, "22 / 24 / 26 / 17"),
    ("SpoonOnTowel", 0.084, 0.386, 500, 0.01, "33 / 35 / 33 / 26"),
    ("Eggplant", 0.40, 0.564, 500, 0.01, "192 / 123 / 119 / 128"),
    ("StackCube", 0.0, 0.03, 500, 0.01, "329 / 403 / 199 / 135"),
)


def studies() -> str:
    """The rates of published studies: our distribution of the number of pairs, their one recorded order."""
    rows = []
    for name, first, second, n_max, alpha, published in STUDIES:
        got = one_sided(n_max, alpha).operating(pair_law(first, second))
        spread = " to ".join(str(got.pairs_for(q)) for q in (0.1, 0.5, 0.9))
        task = f"{name} {first:g} → {second:g}"
        rows.append((task, n_max, alpha, published, f"{got.expected_pairs:.0f}", spread, f"{got.second_better:.3f}"))
    head = (
        "task and rates",
        "n_max",
        "alpha",
        "SAVI / Lai / STEP / oracle",
        "our mean",
        "our 10% to 50% to 90%",
        "power",
    )
    return table(head, rows)


def correlated() -> str:
    """Pairs on the same initial condition, n_max 100, one-sided 0.05: exact for Barnard, simulated for pairs."""
    rows = []
    for rho in (-0.2, -0.1, 0.0, 0.1, 0.3, 0.5, 0.8):
        null = [f"{barnard_at(100, p, p, rho).second_better:.4f}" for p in (0.3, 0.5, 0.8)]
        powers = ["", ""]
        if 0 <= rho <= 0.6:
            powers = [f"{barnard_at(100, 0.5, 0.65, rho).second_better:.3f}", f"{power_of_pairs(0.5, 0.65, rho):.3f}"]
        rows.append((f"{rho:g}", " / ".join(null), *powers))
    head = (
        "correlation within a pair",
        "Barnard's error rate at 0.3 / 0.5 / 0.8",
        "its power 0.5 → 0.65",
        "power of sequential pairs",
    )
    return table(head, rows)


def peeking() -> str:
    """Barnard's test at 5% after every pair, exactly, beside the sequential test."""
    rows = []
    for n_max in (5, 20, 50, 100, 200):
        often, seldom = peeking_thresholds(n_max, 0.05), peeking_thresholds(n_max, 0.05, max(1, n_max // 5))
        naive = [operating(t, None, pair_law(0.5, 0.5)).second_better for t in (often, seldom)]
        ours = barnard_at(n_max, 0.5, 0.5).second_better
        rows.append((n_max, f"{naive[0]:.4f}", f"{naive[1]:.4f}", f"{ours:.4f}"))
    return table(("pairs", "peeking after every pair", "peeking five times", "sequential Barnard"), rows)


FIXED_RATES = ((0.5, 0.7), (0.7, 0.9), (0.8, 0.95))


def fixed() -> str:
    """Fixed-n tests: exact size (largest over the rate) and power, one-sided 0.05."""
    rows = []
    for n in (10, 20, 50, 200):
        for test in ("barnard", "boschloo", "fisher"):
            name: FixedTest = test
            region = rejection_region(name, n, n, 0.05)
            size = maximum(rejection_by_total(region, conditional_weights(n, n)))
            powers = [f"{fixed_power(name, a, b, n, 0.05, 'second_better'):.3f}" for a, b in FIXED_RATES]
            rows.append((test.capitalize(), n, f"{size:.5f}", *powers))
        size, rho = mcnemar_size(n), 0.3
        laws = [pair_law(a, b, rho) for a, b in FIXED_RATES]
        powers = [f"{mcnemar_power(law, n, 0.05, 'second_better'):.3f}" for law in laws]
        rows.append((f"McNemar, correlation {rho}", n, f"{size:.5f}", *powers))
    return table(("test", "trials of each", "size, exact", "0.5 → 0.7", "0.7 → 0.9", "0.8 → 0.95"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "type-one": type_one,
    "power": power,
    "trials": trials,
    "planning": planning,
    "studies": studies,
    "simulated": simulated,
    "correlated": correlated,
    "peeking": peeking,
    "a-a": a_a,
    "fixed": fixed,
    "scores": scores,
    "coverage": coverage,
    "simulators": simulators,
}


def replaced(text: str, name: str, content: str) -> str:
    """The text with what stands between the comments of this name replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"the document has no place for the table {name!r}")
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="Markdown file whose tables are replaced")
    parser.add_argument("--only", nargs="*", choices=list(TABLES), default=list(TABLES), help="these tables")
    args = parser.parse_args()
    for name in args.only:
        begin = time.monotonic()
        content = TABLES[name]()
        print(f"## {name} ({time.monotonic() - begin:.0f} s)\n{content}\n", flush=True)
        if args.write:
            write_text(args.write, replaced(args.write.read_text(), name, content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
