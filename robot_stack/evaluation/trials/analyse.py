"""From an unblinded store to its analysis."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np

from robot_stack.core import provenance
from robot_stack.evaluation.intervals import Proportion, wilson
from robot_stack.evaluation.paired import paired_table, tango
from robot_stack.evaluation.statistics.betting import betting_interval
from robot_stack.evaluation.statistics.letters import compact_letters
from robot_stack.evaluation.statistics.p_value import Counts
from robot_stack.evaluation.statistics.posterior import beta_posterior, dirichlet_mean, probability_second_better
from robot_stack.evaluation.statistics.rate_sequence import anytime
from robot_stack.evaluation.trials.analysis import (
    ArmFlow,
    ArmResult,
    Comparison,
    SecondJudge,
    TrialAnalysis,
    count_tags,
)
from robot_stack.evaluation.trials.effects import Effect, block_effect, cohens_kappa, place_effect
from robot_stack.evaluation.trials.power import detectable
from robot_stack.evaluation.trials.sealed_key import SealedKey
from robot_stack.evaluation.trials.state import TrialState
from robot_stack.evaluation.trials.stopping import StoppingRule, Verdict, block_outcomes
from robot_stack.evaluation.trials.store import read_store
from robot_stack.evaluation.trials.trial import Judgement, Trial
from robot_stack.evaluation.trials.unblind import opened_key
from robot_stack.evaluation.trials.verify import PolicyHash, verify_store

CONFIDENCE = 0.95
"""Of every interval."""


def analyse(folder: str | Path, *, policy_hash: PolicyHash | None = None) -> TrialAnalysis:
    """Everything an unblinded study found.

    Args:
        folder: of the store.
        policy_hash: for checking the policies as well.

    Raises:
        BlindedError: if the study is still blind.
        KeyMismatchError: if the key is not the one that was committed to.
        LogDamagedError: if the log is not as it was written.
    """
    snapshot = read_store(folder)
    key = opened_key(str(folder), snapshot.state)
    checks = verify_store(folder, policy_hash)
    return _Analysis(snapshot.state, key).result(checks)


class _Analysis:
    """The study with its key."""

    def __init__(self, state: TrialState, key: SealedKey) -> None:
        self.state, self.key, self.plan = state, key, state.required_plan
        self.blocks = [b for b in range(self.plan.blocks) if state.block_is_done(b)]
        self.by_arm: list[list[Trial]] = [[] for _ in self.plan.policies]
        for trial in state.trials.values():
            self.by_arm[key.arm(trial.block, trial.place)].append(trial)
        self.final = {(b, key.arm(b, p)): self.place(b, p) for b in self.blocks for p in range(self.plan.arms)}
        """The trial that counts, by block and policy."""

    def place(self, block: int, place: int) -> Trial:
        return self.state.places[block, place][-1]

    def judgements(self, arm: int) -> list[Judgement]:
        return [_judged(self.final[b, arm]) for b in self.blocks]

    def result(self, checks: tuple) -> TrialAnalysis:
        verdicts = StoppingRule(self.plan).verdicts(block_outcomes(self.state, self.key, self.state.counted_blocks()))
        letters = self.letters(verdicts)
        order = self.best_first()
        unblinded = self.state.unblinded or {}
        trials = list(self.state.trials.values())
        return TrialAnalysis(
            study=self.plan.name,
            plan=self.plan,
            plan_sha256=self.state.plan_sha256,
            commitment=self.state.commitment,
            nonce=self.key.nonce,
            unblinded_by=str(unblinded.get("by", "")),
            unblinded_early=bool(unblinded.get("early")),
            blocks=len(self.blocks),
            decided_at=self.state.decided_at,
            arms=tuple(self.arm(a, letters[self.plan.policies[a].name]) for a in order),
            comparisons=tuple(self.comparison(verdict) for verdict in verdicts),
            effects=self.effects(),
            exclusions_p=self.exclusions_p(),
            second_judge=self.second_judge(),
            deviations=tuple(text for _, text in self.state.deviations),
            undone=sum(t.undone for t in trials),
            detectable=self.detectable(),
            checks=checks,
            started_s=trials[0].assigned_s if trials else self.state.created_s,
            ended_s=max((t.labelled_s for t in trials if t.labelled_s), default=self.state.created_s),
            provenance=provenance.collect(),
        )

    def best_first(self) -> list[int]:
        wins = [sum(j.success for j in self.judgements(arm)) for arm in range(self.plan.arms)]
        return sorted(range(self.plan.arms), key=lambda arm: (-wins[arm], arm))

    def letters(self, verdicts: tuple[Verdict, ...]) -> dict[str, str]:
        names = [p.name for p in self.plan.policies]
        told = [(names[v.first], names[v.second]) for v in verdicts if v.decision.value.endswith("better")]
        return compact_letters([names[arm] for arm in self.best_first()], told)

    def arm(self, arm: int, letters: str) -> ArmResult:
        judged, policy = self.judgements(arm), self.plan.policies[arm]
        wins, n = sum(j.success for j in judged), len(judged)
        posterior = beta_posterior(Counts(wins, n))
        scores = [j.completion for j in judged]
        parts = len(self.plan.rubric.milestones) + 1
        mean = dirichlet_mean(scores, [i / parts for i in range(parts + 1)])
        durations = [t.duration_s for b in self.blocks if (t := self.final[b, arm]).duration_s is not None]
        return ArmResult(
            name=policy.name,
            sha256=policy.sha256,
            flow=self.flow(arm),
            success=wilson(wins, n, CONFIDENCE),
            posterior=(posterior.a, posterior.b),
            credible=posterior.interval(CONFIDENCE),
            anytime=anytime(wins, n, CONFIDENCE),
            letters=letters,
            milestones=self.funnel(judged),
            completion=betting_interval(scores, CONFIDENCE),
            completion_posterior=(mean.mean, *mean.interval(CONFIDENCE)),
            failure_tags=count_tags([j.failure_tags for j in judged], self.plan.rubric.failure_tags),
            duration_s=median(durations) if durations else None,
            curve=self.curve([j.success for j in judged]),
            conditions=self.conditions(arm),
        )

    def flow(self, arm: int) -> ArmFlow:
        trials = self.by_arm[arm]
        return ArmFlow(
            assigned=len(trials),
            excluded=dict(Counter(t.exclusion for t in trials if t.exclusion is not None)),
            expired=sum(t.phase == "expired" for t in trials),
            labelled=sum(t.phase == "labelled" for t in trials),
            analysed=len(self.blocks),
            emergency_stops=sum(t.emergency for t in trials),
        )

    def funnel(self, judged: list[Judgement]) -> tuple[tuple[str, Proportion], ...]:
        names = (*self.plan.rubric.milestones, "success")
        reached = [(*j.milestones, j.success) for j in judged]
        return tuple((name, wilson(sum(r[i] for r in reached), len(reached))) for i, name in enumerate(names))

    def curve(self, wins: list[bool]) -> tuple[tuple[int, float, float, float], ...]:
        points, total, every = [], 0, max(1, len(wins) // 120)
        for n, win in enumerate(wins, start=1):
            total += win
            if n % every == 0 or n == len(wins):
                band = anytime(total, n, CONFIDENCE)
                points.append((n, total / n, band.low, band.high))
        return tuple(points)

    def conditions(self, arm: int) -> dict[str, tuple[int, int]]:
        out: dict[str, tuple[int, int]] = {}
        for block in self.blocks:
            name = self.state.conditions[block]
            wins, trials = out.get(name, (0, 0))
            out[name] = (wins + _judged(self.final[block, arm]).success, trials + 1)
        return out

    def comparison(self, verdict: Verdict) -> Comparison:
        wins = [[j.success for j in self.judgements(arm)] for arm in (verdict.first, verdict.second)]
        posteriors = [beta_posterior(Counts(sum(w), len(w))) for w in wins]
        difference, interval = 0.0, (-1.0, 1.0)
        if self.blocks:
            found = tango(paired_table(wins[1], wins[0]), CONFIDENCE)
            difference, interval = found.value, (found.low, found.high)
        return Comparison(
            first=self.plan.policies[verdict.first].name,
            second=self.plan.policies[verdict.second].name,
            decision=verdict.decision.value,  # type: ignore[arg-type]
            decided_at=verdict.decided_at,
            level=verdict.level,
            evidence=verdict.text,
            difference=difference,
            interval=interval,
            probability_second_better=probability_second_better(*posteriors),
        )

    def effects(self) -> tuple[Effect, ...]:
        if not self.blocks:
            return ()
        arms = range(self.plan.arms)
        outcomes = np.array([[_judged(self.place(b, p)).success for p in arms] for b in self.blocks], dtype=int)
        orders = np.array([self.key.orders[b] for b in self.blocks])
        half = len(self.blocks) // 2
        trials = [self.place(b, 0) for b in self.blocks]
        conditions = [self.plan.condition(self.state.conditions[b]) for b in self.blocks]
        found = [
            place_effect(outcomes, orders),
            block_effect("time", outcomes, ["first half" if i < half else "second half" for i in range(len(trials))]),
            block_effect("station", outcomes, [t.station for t in trials]),
            block_effect("evaluator", outcomes, [t.evaluator for t in trials]),
        ]
        factors = sorted({factor for c in conditions for factor in c.strata})
        found += [block_effect(f, outcomes, [c.strata.get(f, "–") for c in conditions]) for f in factors]
        return tuple(found)

    def exclusions_p(self) -> float | None:
        from scipy.stats import chi2_contingency, fisher_exact

        lost = [sum(t.phase in ("excluded", "expired") for t in trials) for trials in self.by_arm]
        kept = [len(trials) - n for trials, n in zip(self.by_arm, lost, strict=True)]
        if not sum(lost) or not sum(kept):
            return None
        if len(lost) == 2:
            return float(fisher_exact([lost, kept])[1])  # type: ignore[arg-type]
        return float(chi2_contingency([lost, kept])[1])  # type: ignore[arg-type]

    def second_judge(self) -> SecondJudge | None:
        pairs = [
            (_judged(self.state.trials[name]).success, ratings[-1][1].success)
            for name, ratings in self.state.ratings.items()
            if self.state.trials[name].judgement is not None
        ]
        if not pairs:
            return None
        first, second = zip(*pairs, strict=True)
        return SecondJudge(len(pairs), wilson(sum(a == b for a, b in pairs), len(pairs)), cohens_kappa(first, second))

    def detectable(self) -> tuple[float, float] | None:
        """From the worst policy's rate upwards."""
        if not self.blocks:
            return None
        rates = [sum(j.success for j in self.judgements(arm)) / len(self.blocks) for arm in range(self.plan.arms)]
        low = min(0.9, max(0.05, math.floor(min(rates) * 20) / 20))
        high = detectable(self.plan.stopping, low, comparisons=len(self.plan.comparisons))
        return None if high is None else (low, high)


def _judged(trial: Trial) -> Judgement:
    assert trial.judgement is not None
    return trial.judgement
