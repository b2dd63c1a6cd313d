"""A small study for tests: two or three policies, a few conditions, a rule that is cheap to compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robot_stack.evaluation.trials.desk import TrialDesk
from robot_stack.evaluation.trials.plan import (
    SIMULATOR_CRASH,
    InitialCondition,
    PlannedPolicy,
    Rubric,
    Stopping,
    TrialPlan,
)
from robot_stack.evaluation.trials.stopping import StoppingRule, decide
from robot_stack.evaluation.trials.store import TrialStore, create_store
from robot_stack.evaluation.trials.trial import Judgement, Trial

SECRET = b"a secret of sixteen bytes or more"
NAMES = ("alpha-policy", "beta-policy", "gamma-policy")
REASONS = ("hardware fault", "operator error", SIMULATOR_CRASH)


class HandClock:
    """A clock that a test moves by hand."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s

    def __call__(self) -> float:
        return self.now_s

    def sleep_until(self, time_s: float) -> None:
        self.now_s = max(self.now_s, time_s)


def make_plan(arms: int = 2, n_max: int = 6, rule: str = "barnard", **changes: object) -> TrialPlan:
    plan = TrialPlan(
        name="study",
        task="test/point",
        instruction="push the point to the goal",
        policies=tuple(PlannedPolicy(NAMES[i], f"runs/{NAMES[i]}", f"{i + 1}" * 64) for i in range(arms)),
        conditions=tuple(InitialCondition(f"c{i}", f"place {i}", seed=100 + i) for i in range(n_max)),
        rubric=Rubric("at the goal", ("halfway", "at_goal"), ("missed", "dropped")),
        stopping=Stopping(rule, 0.05, n_max),  # type: ignore[arg-type]
        exclusion_reasons=REASONS,
        lease_s=60.0,
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


def make_store(folder: Path, plan: TrialPlan | None = None) -> Path:
    create_store(folder, plan or make_plan(), secret=SECRET)
    return folder


def make_desk(store: TrialStore, clock: HandClock | None = None, *, stop: bool = True) -> TrialDesk:
    rule = StoppingRule(store.plan)
    key = store.key()
    return TrialDesk(store, (lambda: decide(store.state, key, rule)) if stop else (lambda: None), clock or HandClock())


def run_to_stop(desk: TrialDesk, trial: Trial) -> None:
    desk.confirm(trial.station, trial.id, f"{trial.id}-confirm")
    desk.start(trial.station, trial.id, f"{trial.id}-start")
    desk.stopped(trial.station, trial.id, "evaluator", 3.0, f"{trial.id}-stop")


def run_trial(desk: TrialDesk, trial: Trial, success: bool) -> None:
    run_to_stop(desk, trial)
    tags = () if success else ("missed",)
    judgement = Judgement(success, (True, success), tags, "")
    desk.label(trial.station, trial.id, judgement, f"{trial.id}-label-{trial.undone}")


def run_study(store: TrialStore, rates: tuple[float, ...], station: str = "bench") -> None:
    """Run to the end; policy ``a`` succeeds in the first ``rates[a]`` share of blocks."""
    desk, key = make_desk(store), store.key()
    desk.join(station, "Ada", "join")
    number = 0
    while (trial := desk.take_next(station, f"next-{number}")) is not None:
        arm = key.arm(trial.block, trial.place)
        run_trial(desk, trial, trial.block < rates[arm] * store.plan.blocks)
        number += 1
