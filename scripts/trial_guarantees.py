"""Policies that are equally good, compared again and again: how often does each way of looking call one of them better?

    python scripts/trial_guarantees.py [--studies 1000] [--n-max 200] [--out docs/example_trial/guarantees.json]

Each study has equal policies (A/A). It is stopped by the engine's own rule (``StoppingRule``, with Holm where there are
three policies), and, beside it, by peeking: an exact fixed-n test (Boschloo, two-sided) after every tenth block, each
at the full error rate, as if it were the only one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from robot_stack.core.atomic import write_json
from robot_stack.core.seeding import generator
from robot_stack.evaluation.intervals import clopper_pearson
from robot_stack.evaluation.statistics.power import rejection_region
from robot_stack.evaluation.trials.plan import InitialCondition, PlannedPolicy, Rule, Stopping, TrialPlan
from robot_stack.evaluation.trials.stopping import StoppingRule

EVERY = 10
"""Blocks between two looks of a person who peeks."""


def plan_of(rule: Rule, arms: int, n_max: int, alpha: float) -> TrialPlan:
    policies = tuple(PlannedPolicy(f"p{i}", "the same", "0" * 64) for i in range(arms))
    return TrialPlan("A/A", "none", policies, (InitialCondition("c", seed=0),), stopping=Stopping(rule, alpha, n_max))


def false_alarms(rule: StoppingRule, outcomes: np.ndarray) -> int:
    """Studies in which some policy was called better; ``outcomes``: ``(studies, blocks, policies)``."""
    return sum(any(v.decision.value.endswith("better") for v in rule.verdicts(study)) for study in outcomes.tolist())


def peeking(outcomes: np.ndarray, alpha: float) -> int:
    """Studies of two policies in which one of the looks at a fixed-n test was significant."""
    wins = outcomes.cumsum(axis=1)
    found = np.zeros(len(outcomes), dtype=bool)
    for n in range(EVERY, outcomes.shape[1] + 1, EVERY):
        region = rejection_region("boschloo", n, n, alpha / 2)
        first, second = wins[:, n - 1, 0], wins[:, n - 1, 1]
        found |= region[first, second] | region[second, first]
    return int(found.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--n-max", type=int, default=200)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--out", type=Path, default=Path("docs/example_trial/guarantees.json"))
    options = parser.parse_args()
    rows = []

    def tell(what: str, rate: float, arms: int, wrong: int) -> None:
        share = clopper_pearson(wrong, options.studies)
        rows.append({"rule": what, "success_rate": rate, "policies": arms, "false_alarms": wrong, "share": share.rate,
                     "low": share.low, "high": share.high, "studies": options.studies})  # fmt: skip
        print(f"{what:<28} p = {rate:.2f}, {arms} policies: {wrong:4d}/{options.studies} = {share.rate:.3f} "
              f"[{share.low:.3f}, {share.high:.3f}]", flush=True)  # fmt: skip

    for rate in (0.5, 0.9):
        rng = generator(20261, round(rate * 100))
        two = (rng.random((options.studies, options.n_max, 2)) < rate).astype(int)
        three = (rng.random((options.studies, options.n_max, 3)) < rate).astype(int)
        tell("peeking every 10 blocks", rate, 2, peeking(two, options.alpha))
        for name in ("barnard", "pairs", "e-process"):
            rule = StoppingRule(plan_of(name, 2, options.n_max, options.alpha))
            tell(name, rate, 2, false_alarms(rule, two))
        rule = StoppingRule(plan_of("barnard", 3, options.n_max, options.alpha))
        tell("barnard, Holm over 3 pairs", rate, 3, false_alarms(rule, three))
    write_json(options.out, {"alpha": options.alpha, "n_max": options.n_max, "rows": rows})


if __name__ == "__main__":
    main()
