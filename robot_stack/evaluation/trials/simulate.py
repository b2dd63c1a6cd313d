"""Runs a plan in simulation by itself, over processes; the simulator's truth is the judge.

Blocks are run a few at a time, policy by policy, for then whole batches share one network. The log is written in the
plan's order when all of them are done, so that it does not give away which trials belong together. An episode is a
function of its seed and policy: one that a kill lost comes out the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from robot_stack.core.episode import EpisodeResult
from robot_stack.core.world import WorldMaker
from robot_stack.evaluation.evaluate import Subject
from robot_stack.evaluation.trials.desk import draw_label, plain_judgement
from robot_stack.evaluation.trials.errors import PlanError
from robot_stack.evaluation.trials.plan import SIMULATOR_CRASH, TrialPlan
from robot_stack.evaluation.trials.stopping import StoppingRule, decide
from robot_stack.evaluation.trials.store import TrialStore
from robot_stack.evaluation.trials.trial import Judgement
from robot_stack.runtime.fleet import Fleet
from robot_stack.runtime.loop import EpisodeSpec
from robot_stack.runtime.progress import Progress, ProgressListener, ignore_progress
from robot_stack.runtime.slots import EpisodeJob, EpisodeOutcome

STATION = "simulation"
"""Name of the station in the log."""

Place = tuple[int, int]
"""Block and place within it."""

_CRASHED = "WorkerDiedError"
"""How an outcome's message begins when the process died: no fault of the policy's, as far as anybody knows."""


def check_simulable(plan: TrialPlan) -> None:
    """Refuse a plan that simulation cannot run honestly.

    Raises:
        PlanError: if a condition has no seed, a condition would come twice, or crashes cannot be excluded.
    """
    without = [c.id for c in plan.conditions if c.seed is None]
    if without:
        raise PlanError("an initial condition has no seed to simulate", got=", ".join(without[:5]))
    seeds = {c.seed for c in plan.conditions}
    if len(seeds) < plan.blocks:
        raise PlanError(
            "a simulated episode that is run twice is the same episode, and says nothing new",
            got=f"{len(seeds)} seeds for {plan.blocks} blocks",
            remedy="give as many seeds as n_max, e.g. conditions: {seeds: 200}",
        )
    if SIMULATOR_CRASH not in plan.exclusion_reasons:
        raise PlanError(
            "the plan has no reason for trials that the simulator lost",
            expected=f"{SIMULATOR_CRASH!r} among the exclusion reasons",
        )


def run_simulated(
    store: TrialStore,
    world: WorldMaker,
    subjects: Sequence[Subject],
    *,
    fleet: Fleet,
    blocks_at_once: int = 8,
    rule: StoppingRule | None = None,
    progress: ProgressListener = ignore_progress,
) -> int:
    """Run trials until the stopping rule says stop or all blocks are done; goes on where a killed run was.

    Args:
        store: open for writing.
        world: makes robot and task; must be picklable when the fleet has processes.
        subjects: the policies, in the plan's order.
        fleet: where episodes run.
        blocks_at_once: blocks between two looks of the stopping rule.
        rule: the plan's when left out.
        progress: told after every episode. Successes are told when all policies have run: in between, the order in
            which they run would give them away.

    Returns:
        Counted blocks when it stopped.

    Raises:
        PlanError: if the plan cannot be simulated.
        FleetError: if too many episodes in a row fail.
    """
    check_simulable(store.plan)
    return _Simulation(store, world, subjects, fleet, rule or StoppingRule(store.plan), progress).run(blocks_at_once)


class _Simulation:
    """One run."""

    def __init__(
        self,
        store: TrialStore,
        world: WorldMaker,
        subjects: Sequence[Subject],
        fleet: Fleet,
        rule: StoppingRule,
        progress: ProgressListener,
    ) -> None:
        self.store, self.plan, self.state = store, store.plan, store.state
        self.world, self.subjects, self.fleet, self.rule = world, subjects, fleet, rule
        self.progress = progress
        self.key = store.key()
        self.seeds = {c.id: c.seed for c in self.plan.conditions}
        self.done = sum(t.phase == "labelled" for t in self.state.trials.values())
        self.successes = sum(bool(t.judgement and t.judgement.success) for t in self.state.trials.values())

    def run(self, blocks_at_once: int) -> int:
        for trial in [t for t in self.state.trials.values() if t.open]:
            self.store.append("expired", {"trial": trial.id})  # of a run that was killed
        if STATION not in self.state.stations:
            self.store.append("joined", {"station": STATION, "evaluator": "simulator"})
        while not self.state.over:
            blocks = decide(self.state, self.key, self.rule)
            if blocks is not None:
                self.store.append("decided", {"blocks": blocks})
                break
            self._run_blocks(self._next_blocks(blocks_at_once))
        return len(self.state.counted_blocks())

    def _next_blocks(self, count: int) -> list[int]:
        state = self.state
        todo = (b for b in range(self.plan.blocks) if not state.block_is_done(b) and not state.block_is_void(b))
        return [b for b, _ in zip(todo, range(count), strict=False)]

    def _run_blocks(self, blocks: list[int]) -> None:
        places = [(b, p) for b in blocks for p in range(self.plan.arms) if self.state.place_is_free(b, p)]
        outcomes: dict[Place, EpisodeOutcome] = {}
        for arm, subject in enumerate(self.subjects):
            mine = [place for place in places if self.key.arm(*place) == arm]
            for outcome in self.fleet.run((self._job(place, subject) for place in mine), subject.driver):
                outcomes[divmod(outcome.job.index, self.plan.arms)] = outcome
                self._tell(outcome)
        for place in places:
            self._write(place, outcomes[place])
        self.successes = sum(bool(t.judgement and t.judgement.success) for t in self.state.trials.values())

    def _job(self, place: Place, subject: Subject) -> EpisodeJob:
        seed = self.seeds[self.state.conditions[place[0]]]
        assert seed is not None
        history = 1 if subject.driver is None else subject.driver.history
        spec = EpisodeSpec(seed, history, self.plan.horizon)
        return EpisodeJob(place[0] * self.plan.arms + place[1], spec, self.world, subject.driver_maker)

    def _tell(self, outcome: EpisodeOutcome) -> None:
        self.done += outcome.failure is None
        total = self.plan.blocks * self.plan.arms
        self.progress(Progress(done=self.done, total=total, successes=self.successes, failures=0, attempts=self.done))

    def _write(self, place: Place, outcome: EpisodeOutcome) -> None:
        append, trial = self.store.append, f"T{len(self.state.trials) + 1:04d}"
        used = {t.label for t in self.state.trials.values()}
        label = draw_label()
        while label in used:
            label = draw_label()
        where = {"block": place[0], "place": place[1], "station": STATION, "evaluator": "simulator"}
        append("assigned", {"trial": trial, "label": label, **where})
        append("confirmed", {"trial": trial})
        append("started", {"trial": trial})
        if outcome.failure is not None and outcome.failure.message.startswith(_CRASHED):
            append("excluded", {"trial": trial, "reason": SIMULATOR_CRASH, "notes": outcome.failure.message[:500]})
            return
        cause = "episode ended" if outcome.failure is None else "robot error"
        result = outcome.result
        duration, steps = (0.0, 0) if result is None else (result.duration_s, result.steps)
        append("stopped", {"trial": trial, "cause": cause, "duration_s": duration, "steps": steps})
        append("labelled", {"trial": trial, **plain_judgement(judgement_of(self.plan, result, outcome))})


def judgement_of(plan: TrialPlan, result: EpisodeResult | None, outcome: EpisodeOutcome) -> Judgement:
    """The simulator's verdict; an episode that broke off with an error of policy or robot is a failure."""
    if result is None:
        message = "" if outcome.failure is None else outcome.failure.message[:500]
        return Judgement(False, (False,) * len(plan.rubric.milestones), (), message)
    reached = tuple(result.milestones.get(name) is not None for name in plan.rubric.milestones)
    return Judgement(result.success, reached)
