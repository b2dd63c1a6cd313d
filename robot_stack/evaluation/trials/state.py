"""The state of a study: nothing but the fold of its events.

:meth:`TrialState.apply` refuses an event that the state before it does not allow, so the same rules hold while trials
run and when a log is audited. No event says which policy ran; that is in the sealed key alone.

============== =====================================================================================================
``created``    the whole plan, its hash, the commitment to the key, the initial condition of each block
``joined``     a station with its evaluator
``assigned``   a trial begins: its place, opaque label and station; locks the station's last label
``confirmed``  the evaluator found the scene to match the initial condition
``started``    the robot moves
``stopped``    the robot is at rest, with the cause and the duration
``labelled``   the judgement
``undone``     a label that was not locked yet is taken back
``excluded``   the trial does not count, with a reason of the plan's list; its place is open again
``expired``    the station was silent for too long; its place is open again
``rated``      a second person's judgement of a trial's video
``filmed``     file and hash of a trial's video
``deviation``  something that the plan did not foresee, in words
``decided``    the stopping rule says stop; never why
``unblinded``  the key was opened
``recovered``  an event that was being written when its process died was cut off
============== =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import RobotStackError
from robot_stack.evaluation.trials.errors import LogDamagedError, TrialConflictError, UnknownTrialError
from robot_stack.evaluation.trials.event_log import Event
from robot_stack.evaluation.trials.plan import TrialPlan
from robot_stack.evaluation.trials.trial import OPEN_PHASES, Judgement, Trial

Change = Callable[[], None]
"""What an event does to the state, once it was found to be allowed."""

CLOCK_SLACK_S = 1.0
"""A wall clock that went back by less is not worth a word [s]."""


class TrialState:
    """Everything the log says, without the key."""

    def __init__(self) -> None:
        self.plan: TrialPlan | None = None
        self.plan_sha256 = ""
        self.commitment = ""
        self.conditions: tuple[str, ...] = ()
        """Initial condition of each block."""
        self.stations: dict[str, str] = {}
        """Station to evaluator."""
        self.trials: dict[str, Trial] = {}
        self.places: dict[tuple[int, int], list[Trial]] = {}
        """Every attempt in each place, in order."""
        self.ratings: dict[str, list[tuple[str, Judgement]]] = {}
        """Second judgements by trial: rater and judgement."""
        self.deviations: list[tuple[float, str]] = []
        """When and what."""
        self.decided_at: int | None = None
        """Blocks after which the stopping rule said stop."""
        self.unblinded: dict[str, Any] | None = None
        self.keys: set[str] = set()
        """Idempotency keys of what was done."""
        self.events = 0
        self.last_time_s = 0.0
        self.created_s = 0.0
        self._last: dict[str, Trial] = {}
        self._handlers: dict[str, Callable[[Event], Change]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(type(self)) if name.startswith("_on_")
        }

    # --- the fold

    def check(self, event: Event) -> Change:
        """What the event would change; nothing is changed yet.

        Raises:
            TrialConflictError: if the state does not allow the event.
        """
        if (event.kind == "created") != (self.events == 0):
            raise TrialConflictError("a log begins with one event 'created'", got=f"event {event.seq}: {event.kind}")
        handler = self._handlers.get(event.kind)
        if handler is None:
            raise TrialConflictError("there is no such kind of event", got=event.kind, expected=sorted(self._handlers))
        return handler(event)

    def apply(self, event: Event) -> None:
        """Take one more event.

        Raises:
            TrialConflictError: if the state does not allow it; nothing is changed then.
        """
        self.check(event)()
        if event.time_s < self.last_time_s - CLOCK_SLACK_S:
            back = self.last_time_s - event.time_s
            self.deviations.append((event.time_s, f"the clock went back by {back:.0f} s before event {event.seq}"))
        self.events += 1
        self.last_time_s = event.time_s
        if "key" in event.data:
            self.keys.add(event.data["key"])

    # --- what the events say together

    @property
    def required_plan(self) -> TrialPlan:
        """The plan, once there is one."""
        if self.plan is None:
            raise LogDamagedError("the event log is empty", expected="an event 'created' with the plan")
        return self.plan

    def trial(self, name: str) -> Trial:
        """A trial by id.

        Raises:
            UnknownTrialError: if there is none.
        """
        if name not in self.trials:
            raise UnknownTrialError(
                "there is no such trial", got=repr(name), expected=f"one of {len(self.trials)} that were assigned"
            )
        return self.trials[name]

    def current(self, station: str) -> Trial | None:
        """The station's last trial, ended or not."""
        return self._last.get(station)

    def place_is_done(self, block: int, place: int) -> bool:
        """Whether this place has a label."""
        attempts = self.places.get((block, place))
        return bool(attempts) and attempts[-1].phase == "labelled"

    def place_is_free(self, block: int, place: int) -> bool:
        """Whether somebody may run a trial here."""
        attempts = self.places.get((block, place), [])
        if not attempts:
            return True
        allowed = sum(t.phase == "excluded" for t in attempts) <= self.required_plan.max_reruns
        return attempts[-1].phase in ("excluded", "expired") and allowed

    def block_is_done(self, block: int) -> bool:
        """Whether every place of the block has a label."""
        return all(self.place_is_done(block, place) for place in range(self.required_plan.arms))

    def block_is_void(self, block: int) -> bool:
        """Whether the block can never be complete, because a place used up its re-runs."""
        for place in range(self.required_plan.arms):
            attempts = self.places.get((block, place))
            given_up = attempts and not attempts[-1].open and not self.place_is_done(block, place)
            if given_up and not self.place_is_free(block, place):
                return True
        return False

    def counted_blocks(self) -> tuple[int, ...]:
        """All that the stopping rule may see: complete blocks in the plan's order, up to the first that is under way.

        A block that was completed ahead of an earlier one waits; a void one is passed over.
        """
        counted = []
        for block in range(self.required_plan.blocks):
            if self.block_is_done(block):
                counted.append(block)
            elif not self.block_is_void(block):
                break
        return tuple(counted)

    def exhausted(self) -> bool:
        """Whether every block is complete or void."""
        return all(self.block_is_done(b) or self.block_is_void(b) for b in range(self.required_plan.blocks))

    @property
    def over(self) -> bool:
        """Whether no further trial is wanted."""
        return self.decided_at is not None

    # --- the kinds of events: each checks, and returns what is to be done

    def _on_created(self, event: Event) -> Change:
        data = event.data
        try:
            plan = from_plain(TrialPlan, data["plan"], where="plan")
        except RobotStackError as error:
            raise LogDamagedError("the plan in the log is not readable", got=str(error)) from error
        if plan.fingerprint() != data["plan_sha256"]:
            raise LogDamagedError("the plan in the log has another hash", got=plan.fingerprint())

        def change() -> None:
            self.plan, self.plan_sha256, self.commitment = plan, data["plan_sha256"], data["commitment"]
            self.conditions, self.created_s = tuple(data["conditions"]), event.time_s

        return change

    def _on_joined(self, event: Event) -> Change:
        station, evaluator = event.data["station"], event.data["evaluator"]
        return lambda: self.stations.__setitem__(station, evaluator)

    def _on_assigned(self, event: Event) -> Change:
        data = event.data
        block, place, station = data["block"], data["place"], data["station"]
        plan = self.required_plan
        self._refuse_when_unblinded(event.kind)
        if not (0 <= block < plan.blocks and 0 <= place < plan.arms):
            raise UnknownTrialError("the plan has no such place", got=(block, place))
        if not self.place_is_free(block, place):
            raise TrialConflictError("this place is taken", got=f"block {block}, place {place}")
        if data["trial"] in self.trials:
            raise TrialConflictError("this trial was assigned before", got=data["trial"])
        last = self.current(station)
        if last is not None and last.open:
            raise TrialConflictError(
                f"station {station!r} has not ended its trial",
                got=f"{last.label} is {last.phase}",
                remedy="label it, or exclude it with a reason",
            )

        def change() -> None:
            if last is not None:
                last.locked = True
            attempts = self.places.setdefault((block, place), [])
            trial = Trial(
                data["trial"], data["label"], block, place, len(attempts), station, data["evaluator"], len(self.trials)
            )
            trial.assigned_s = event.time_s
            self.trials[trial.id] = self._last[station] = trial
            attempts.append(trial)

        return change

    def _on_confirmed(self, event: Event) -> Change:
        trial = self._open(event, "assigned")
        return lambda: setattr(trial, "phase", "confirmed")

    def _on_started(self, event: Event) -> Change:
        trial = self._open(event, "confirmed")
        return lambda: setattr(trial, "phase", "running")

    def _on_stopped(self, event: Event) -> Change:
        trial = self._open(event, "running")
        cause, duration_s, steps = event.data["cause"], float(event.data["duration_s"]), event.data.get("steps")

        def change() -> None:
            trial.phase, trial.stop_cause, trial.duration_s, trial.steps = "stopped", cause, duration_s, steps
            trial.emergency = trial.emergency or cause == "emergency stop"

        return change

    def _on_labelled(self, event: Event) -> Change:
        judgement = self._judgement(event)
        trial = self._open(event, "stopped")
        if trial.emergency and judgement.success:
            raise TrialConflictError(
                "a trial that ended in an emergency stop cannot be a success",
                got=trial.label,
                remedy="label it a failure, or exclude it if the policy was not the cause",
            )

        def change() -> None:
            trial.phase, trial.judgement, trial.labelled_s = "labelled", judgement, event.time_s

        return change

    def _on_undone(self, event: Event) -> Change:
        trial = self.trial(event.data["trial"])
        self._refuse_when_unblinded(event.kind)
        if trial.phase != "labelled" or trial.locked:
            reason = "it is locked: a later trial has begun" if trial.locked else f"it is {trial.phase}"
            raise TrialConflictError(f"the label of {trial.label} cannot be taken back", got=reason)
        if self.decided_at is not None and trial.block in self.counted_blocks()[: self.decided_at]:
            raise TrialConflictError(
                f"the label of {trial.label} cannot be taken back", got="the stopping rule has used it"
            )

        def change() -> None:
            trial.phase, trial.judgement, trial.labelled_s = "stopped", None, None
            trial.undone += 1

        return change

    def _on_excluded(self, event: Event) -> Change:
        reason, reasons = event.data["reason"], self.required_plan.exclusion_reasons
        if reason not in reasons:
            raise TrialConflictError(
                "this is no reason of the plan's list", got=repr(reason), expected=", ".join(reasons)
            )
        trial = self._open(event, *OPEN_PHASES)

        def change() -> None:
            trial.phase, trial.exclusion = "excluded", reason

        return change

    def _on_expired(self, event: Event) -> Change:
        trial = self._open(event, *OPEN_PHASES)
        return lambda: setattr(trial, "phase", "expired")

    def _on_rated(self, event: Event) -> Change:
        judgement, rater = self._judgement(event), event.data["rater"]
        trial = self.trial(event.data["trial"])
        self._refuse_when_unblinded(event.kind)
        if trial.phase != "labelled" or rater == trial.evaluator:
            raise TrialConflictError(
                "a second judgement needs a labelled trial and another person",
                got=f"{trial.label} is {trial.phase}, judged by {trial.evaluator!r}",
            )
        return lambda: self.ratings.setdefault(trial.id, []).append((rater, judgement))

    def _on_filmed(self, event: Event) -> Change:
        trial = self.trial(event.data["trial"])

        def change() -> None:
            trial.video, trial.video_sha256 = event.data["file"], event.data["sha256"]

        return change

    def _on_deviation(self, event: Event) -> Change:
        text = event.data["text"]
        return lambda: self.deviations.append((event.time_s, text))

    def _on_decided(self, event: Event) -> Change:
        blocks = event.data["blocks"]
        if self.decided_at is not None:
            raise TrialConflictError("the stopping rule has spoken already", got=f"after {self.decided_at} blocks")
        if not 0 <= blocks <= len(self.counted_blocks()):
            raise TrialConflictError("a decision needs complete blocks", got=blocks)
        return lambda: setattr(self, "decided_at", blocks)

    def _on_unblinded(self, event: Event) -> Change:
        self._refuse_when_unblinded(event.kind)
        return lambda: setattr(self, "unblinded", {**event.data, "time_s": event.time_s})

    def _on_recovered(self, event: Event) -> Change:
        text = f"{event.data['bytes']} bytes of an unfinished event were cut off after a crash"
        return lambda: self.deviations.append((event.time_s, text))

    # --- common refusals

    def _open(self, event: Event, *phases: str) -> Trial:
        trial = self.trial(event.data["trial"])
        self._refuse_when_unblinded(event.kind)
        if trial.phase not in phases:
            remedy = "take the label back first" if trial.phase == "labelled" and not trial.locked else None
            raise TrialConflictError(
                f"trial {trial.label} cannot be {event.kind} now",
                got=f"it is {trial.phase}",
                expected=" or ".join(phases),
                remedy=remedy,
            )
        return trial

    def _refuse_when_unblinded(self, kind: str) -> None:
        if self.unblinded is not None:
            raise TrialConflictError(f"nothing can be {kind} any more: the key was opened")

    def _judgement(self, event: Event) -> Judgement:
        data, rubric = event.data, self.required_plan.rubric
        if len(data["milestones"]) != len(rubric.milestones):
            raise TrialConflictError(
                "a judgement must answer every milestone",
                got=f"{len(data['milestones'])} answers",
                expected=", ".join(rubric.milestones) or "none",
            )
        unknown = [tag for tag in data["failure_tags"] if tag not in rubric.failure_tags]
        if unknown:
            raise TrialConflictError(
                "these failure tags are not in the plan", got=unknown, expected=", ".join(rubric.failure_tags)
            )
        milestones = tuple(bool(m) for m in data["milestones"])
        return Judgement(bool(data["success"]), milestones, tuple(data["failure_tags"]), str(data["notes"]))


def fold(events: Iterable[Event]) -> TrialState:
    """The state after these events.

    Raises:
        LogDamagedError: if an event does not follow from those before it; the message names it.
    """
    state = TrialState()
    for event in events:
        try:
            state.apply(event)
        except (TrialConflictError, KeyError, TypeError) as error:
            raise LogDamagedError(
                "an event of the log contradicts those before it",
                where=f"event {event.seq} ({event.kind})",
                got=str(error),
                remedy="the log was not written by this program alone; restore it from a backup",
            ) from error
    return state
