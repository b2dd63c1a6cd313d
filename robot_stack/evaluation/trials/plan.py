"""A frozen plan of blind trials: everything that is decided before the first one, the same for robots and simulation.

What a plan fixes follows the reporting advice of Kress-Gazit et al., "Robot learning as an empirical science",
arXiv 2409.09491 (initial conditions, success criteria, number of runs, interleaving) and of CONSORT (primary endpoint,
exclusions and stopping rule chosen beforehand).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from robot_stack.core.config_json import canonical_json, fingerprint_of
from robot_stack.evaluation.trials.errors import PlanError

FORMAT = "robot_stack.trials.plan/1"
Rule = Literal["barnard", "pairs", "e-process", "fixed"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class PlannedPolicy:
    """One arm of the comparison."""

    name: str
    """For the report."""

    policy: str
    """Where it is: the folder of a bundle, or ``expert`` or ``expert:NOISE`` for the scripted one."""

    sha256: str
    """Hash of what decides how it acts, 64 hexadecimal digits; checked again before trials are run."""

    source: str = ""
    """Whose normaliser to use, for policies with one per dataset."""


@dataclass(frozen=True)
class InitialCondition:
    """One way to set up the scene."""

    id: str
    """Unique within the plan: letters, digits, ``.``, ``_`` and ``-``."""

    description: str = ""
    """For the evaluator: ``"mug upside down, left of the rack"``."""

    seed: int | None = None
    """Of the start in simulation."""

    image: str = ""
    """Name of the target picture in the store's ``images`` folder; empty: none."""

    image_sha256: str = ""
    """Of that picture's bytes."""

    strata: dict[str, str] = field(default_factory=dict)
    """Factor to level, e.g. ``{"light": "dim"}``; levels are spread evenly over time."""


@dataclass(frozen=True)
class Rubric:
    """What an evaluator judges."""

    success: str = ""
    """When a trial counts as a success, in words."""

    milestones: tuple[str, ...] = ()
    """Ordered partial goals; a later one does not imply an earlier one."""

    failure_tags: tuple[str, ...] = ()
    """Kinds of failure to choose from."""


@dataclass(frozen=True)
class Stopping:
    """When trials end, and at which error rate."""

    rule: Rule = "barnard"
    """``barnard``: exact sequential test of two proportions; ``pairs``: of the blocks in which two policies differ;
    ``e-process``: anytime-valid, ``n_max`` is only where patience ends; ``fixed``: one test at ``n_max``."""

    alpha: float = 0.05
    """Chance of any false difference, over all comparisons and both directions."""

    n_max: int = 50
    """Trials of each policy, which is blocks, at most."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5 or not 1 <= self.n_max <= 100_000:
            raise PlanError(
                "this stopping rule makes no sense", got=self, expected="0 < alpha < 0.5 and 1 <= n_max <= 100000"
            )


DEFAULT_EXCLUSIONS = ("hardware fault", "wrong initial condition", "operator error", "interrupted")
"""A stop that the policy caused is a failure, and no reason to exclude a trial."""

SIMULATOR_CRASH = "simulator crash"
"""The exclusion reason for simulation: the process died, whatever the policy did."""


@dataclass(frozen=True)
class TrialPlan:
    """All that is fixed before the first trial."""

    name: str
    """Of the study."""

    task: str
    """What the policies do, e.g. ``"metaworld/pick-place"``."""

    policies: tuple[PlannedPolicy, ...]
    """At least two."""

    conditions: tuple[InitialCondition, ...]
    """Each block has one; when there are fewer than blocks they come round again, in another order."""

    instruction: str = ""
    """The task in words, shown to the evaluator."""

    rubric: Rubric = field(default_factory=Rubric)
    """What is judged."""

    stopping: Stopping = field(default_factory=Stopping)
    """When it ends."""

    exclusion_reasons: tuple[str, ...] = DEFAULT_EXCLUSIONS
    """The only reasons for which a trial may be excluded and run again."""

    max_reruns: int = 3
    """So often a place in a block may be run again; then it stays open and the block does not count."""

    time_limit_s: float = 60.0
    """A trial is stopped after this time [s]."""

    lease_s: float = 120.0
    """A station that is silent for so long loses its trial [s]."""

    horizon: int | None = None
    """Longest episode in simulation [control steps]; ``None`` takes the task's."""

    cameras: tuple[str, ...] = ()
    """Cameras of the simulated robot besides those the policies look through."""

    image_size: int = 96
    """Height and width of simulated camera images [pixel]."""

    format: Literal["robot_stack.trials.plan/1"] = FORMAT
    """Of the file."""

    def __post_init__(self) -> None:
        _check_names("policy", [p.name for p in self.policies], at_least=2)
        _check_names("initial condition", [c.id for c in self.conditions], at_least=1)
        _check_names("milestone", self.rubric.milestones)
        _check_names("failure tag", self.rubric.failure_tags)
        _check_names("exclusion reason", self.exclusion_reasons, at_least=1)
        for condition in self.conditions:
            if not _ID.fullmatch(condition.id):
                raise PlanError(
                    "an initial condition has an unusable id",
                    got=repr(condition.id),
                    expected="up to 64 letters, digits, '.', '_', '-'",
                )
        if self.time_limit_s <= 0 or self.lease_s <= 0 or self.max_reruns < 0:
            raise PlanError(
                "time limits must be above 0, re-runs not below",
                got=(self.time_limit_s, self.lease_s, self.max_reruns),
            )

    @property
    def blocks(self) -> int:
        """Blocks at most; in each, every policy meets one initial condition."""
        return self.stopping.n_max

    @property
    def arms(self) -> int:
        """Number of policies."""
        return len(self.policies)

    @property
    def comparisons(self) -> tuple[tuple[int, int], ...]:
        """Every pair of policies, by their numbers."""
        return tuple(combinations(range(self.arms), 2))

    def canonical(self) -> str:
        """The plan as canonical JSON: equal plans give equal text."""
        return canonical_json(self)

    def fingerprint(self) -> str:
        """SHA-256 of :meth:`canonical`, 64 hexadecimal digits."""
        return fingerprint_of(self)

    def condition(self, name: str) -> InitialCondition:
        """The initial condition of this id.

        Raises:
            PlanError: if there is none.
        """
        for condition in self.conditions:
            if condition.id == name:
                return condition
        raise PlanError("the plan has no such initial condition", got=name)


def _check_names(kind: str, names: tuple[str, ...] | list[str], at_least: int = 0) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(f"a {kind} appears twice", got=", ".join(twice))
    if len(names) < at_least:
        raise PlanError(f"a plan needs at least {at_least} {kind}(s)", got=len(names))
    if any(not name.strip() for name in names):
        raise PlanError(f"a {kind} has an empty name", got=list(names))
