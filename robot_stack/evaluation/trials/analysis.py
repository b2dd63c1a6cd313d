"""What an unblinded study found: everything the report shows, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from robot_stack.evaluation.intervals import Proportion
from robot_stack.evaluation.statistics.betting import MeanInterval
from robot_stack.evaluation.trials.effects import Effect
from robot_stack.evaluation.trials.plan import TrialPlan
from robot_stack.evaluation.trials.verify import Check

FORMAT = "robot_stack.trials.report/1"


@dataclass(frozen=True)
class ArmFlow:
    """What became of the trials of one policy."""

    assigned: int
    """Trials begun."""

    excluded: dict[str, int]
    """Excluded trials by reason; each was run again."""

    expired: int
    """Trials whose station fell silent; each was run again."""

    labelled: int
    """Trials with a label."""

    analysed: int
    """Of those, in complete blocks."""

    emergency_stops: int
    """Trials that ended in an emergency stop."""


@dataclass(frozen=True)
class ArmResult:
    """One policy."""

    name: str
    """Of the policy."""

    sha256: str
    """Of what decides how it acts."""

    flow: ArmFlow
    """Its trials."""

    success: Proportion
    """Success rate with Wilson's interval."""

    posterior: tuple[float, float]
    """Parameters of the Beta posterior under a uniform prior."""

    credible: tuple[float, float]
    """Equal-tailed 95% interval of that posterior."""

    anytime: Proportion
    """Success rate with an interval that holds whenever one looks, so whatever the stopping rule did."""

    letters: str
    """Policies that share a letter were not told apart."""

    milestones: tuple[tuple[str, Proportion], ...]
    """How often each milestone was reached, and at last success."""

    completion: MeanInterval
    """Mean task completion (share of milestones and success) with a betting interval."""

    completion_posterior: tuple[float, float, float]
    """Mean and 95% interval of the Dirichlet posterior of mean completion."""

    failure_tags: dict[str, int]
    """How often each was given."""

    duration_s: float | None
    """Median time from start to stop [s]."""

    curve: tuple[tuple[int, float, float, float], ...]
    """Along the blocks: trials so far, success rate, lower and upper end of the anytime interval."""

    conditions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Successes and trials by initial condition."""


@dataclass(frozen=True)
class Comparison:
    """Two policies."""

    first: str
    """Name of one."""

    second: str
    """Name of the other."""

    decision: Literal["continue", "first_better", "second_better", "undecided"]
    """What the plan's rule says."""

    decided_at: int | None
    """Blocks after which it fell."""

    level: float
    """Error rate at which it was decided, after Holm."""

    evidence: str
    """In a sentence."""

    difference: float
    """Success rate of the second minus that of the first."""

    interval: tuple[float, float]
    """95% interval of the difference for pairs on equal initial conditions (Tango 1998), trials fixed beforehand."""

    probability_second_better: float
    """Posterior probability, independent uniform priors."""


@dataclass(frozen=True)
class SecondJudge:
    """Agreement on success between the evaluator and a second person."""

    trials: int
    """Judged twice."""

    agreed: Proportion
    """Of those, equal verdicts."""

    kappa: float | None
    """Cohen's; ``None`` where it is not defined."""


@dataclass(frozen=True)
class TrialAnalysis:
    """All of it."""

    study: str
    """Name of the study."""

    plan: TrialPlan
    """As frozen."""

    plan_sha256: str
    """Its hash."""

    commitment: str
    """Published before the first trial."""

    nonce: str
    """Of the key: with it anybody can compute the commitment."""

    unblinded_by: str
    """Who opened the key."""

    unblinded_early: bool
    """Before the stopping rule said stop."""

    blocks: int
    """Complete blocks that were analysed."""

    decided_at: int | None
    """Blocks after which the study was over; ``None`` if it was opened early."""

    arms: tuple[ArmResult, ...]
    """The policies, best first."""

    comparisons: tuple[Comparison, ...]
    """Every pair, in the plan's order."""

    effects: tuple[Effect, ...]
    """Order, time, station, evaluator, strata."""

    exclusions_p: float | None
    """Chance of exclusions so unevenly spread over the policies if they had nothing to do with them."""

    second_judge: SecondJudge | None
    """``None`` when nobody judged twice."""

    deviations: tuple[str, ...]
    """In words."""

    undone: int
    """Labels that were taken back."""

    detectable: tuple[float, float] | None
    """A success rate, and the higher one that this study would have told from it four times out of five."""

    checks: tuple[Check, ...]
    """The audit of the store."""

    started_s: float
    """Of the first trial, seconds since 1970 UTC."""

    ended_s: float
    """Of the last label."""

    provenance: dict[str, Any]
    """Code and libraries that made this report."""

    format: Literal["robot_stack.trials.report/1"] = FORMAT
    """Of the file."""


def count_tags(tags: list[tuple[str, ...]], known: tuple[str, ...]) -> dict[str, int]:
    """How often each of the known tags was given."""
    counts = Counter(tag for given in tags for tag in given)
    return {tag: counts[tag] for tag in known if counts[tag]}
