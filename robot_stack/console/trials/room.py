"""A study being run: the desk where labels are taken, a stage for each station, and what a station may see of both."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robot_stack.console.trials.stage import Stage, StageStatus
from robot_stack.core.errors import RobotStackError
from robot_stack.evaluation.trials.desk import TrialDesk, plain_judgement
from robot_stack.evaluation.trials.errors import TrialConflictError, UnknownTrialError
from robot_stack.evaluation.trials.stopping import StoppingRule, decide
from robot_stack.evaluation.trials.store import IMAGES, VIDEOS, TrialStore
from robot_stack.evaluation.trials.trial import Judgement, StopCause, Trial

StageMaker = Callable[[str], Stage]
"""Makes the stage of a station, by the station's name."""

_TICK_S = 0.1
_LOG = logging.getLogger(__name__)


class TrialRoom:
    """Everything behind the evaluators' page.

    Args:
        store: open for writing.
        stages: one for each station that may join, by name.
        films: film trials, for a second judge.
    """

    def __init__(self, store: TrialStore, stages: dict[str, Stage], *, films: bool = False) -> None:
        self.store, self.stages, self.films = store, stages, films
        self._key = store.key()
        rule = StoppingRule(store.plan)
        self.desk = TrialDesk(store, lambda: decide(store.state, self._key, rule))
        self._shown: dict[str, str] = {}
        """Trial that each station's stage was set up for."""
        self._closing = threading.Event()
        self._recover()
        self._ticker = threading.Thread(target=self._tick_forever, name="trials", daemon=True)
        self._ticker.start()

    def close(self) -> None:
        """Stop every robot, and the clockwork."""
        self._closing.set()
        self._ticker.join(timeout=5.0)
        for stage in self.stages.values():
            stage.close()

    # --- what a station does

    def join(self, station: str, evaluator: str, key: str) -> None:
        """Somebody sits down at a station.

        Raises:
            UnknownTrialError: if there is no such station.
        """
        self._stage(station)
        self.desk.join(station, evaluator.strip(), key)

    def next(self, station: str, key: str) -> None:
        """Assign the next trial, and bring the robot to its start."""
        self._stage(station)
        trial = self.desk.take_next(station, key)
        if trial is not None:
            self._set_up(trial)

    def confirm(self, station: str, trial: str, key: str) -> None:
        """The scene matches."""
        self.desk.confirm(station, trial, key)

    def start(self, station: str, trial: str, key: str) -> None:
        """Let the assigned policy drive."""
        if self.desk.start(station, trial, key):
            found = self.store.state.trial(trial)
            film = self.store.folder / VIDEOS / f"{trial}.mp4" if self.films else None
            self._stage(station).start(self._key.arm(found.block, found.place), film)

    def halt(self, station: str, reason: str) -> None:
        """Stop the robot, whatever the log says of its trial; waits for nothing."""
        self._stage(station).stop(reason)

    def stop(self, station: str, trial: str, key: str, *, emergency: bool = False) -> None:
        """Stop the robot, then note that it was stopped."""
        self.halt(station, "emergency stop" if emergency else "evaluator")
        self.desk.hear(station)
        self._note_stop(station, trial, "emergency stop" if emergency else "evaluator", key)

    def label(self, station: str, trial: str, judgement: Judgement, key: str) -> None:
        """Judge."""
        self.desk.label(station, trial, judgement, key)

    def undo(self, station: str, trial: str, key: str) -> None:
        """Take the label back."""
        self.desk.undo(station, trial, key)

    def exclude(self, station: str, trial: str, reason: str, notes: str, key: str) -> None:
        """Do not count the trial; a moving robot is stopped first."""
        self._stage(station).stop("excluded")
        self.desk.exclude(station, trial, reason, notes, key)

    def deviate(self, station: str, text: str, key: str) -> None:
        """Note something that the plan did not foresee."""
        if not text.strip():
            raise TrialConflictError("a deviation needs words")
        with self.store.mutex:
            if key not in self.store.state.keys:
                self.store.append("deviation", {"text": f"{station}: {text.strip()[:500]}", "key": key})

    def rate(self, trial: str, rater: str, judgement: Judgement, key: str) -> None:
        """A second judgement, from the film."""
        with self.store.mutex:
            if key not in self.store.state.keys:
                data = {"trial": trial, "rater": rater.strip(), "key": key, **plain_judgement(judgement)}
                self.store.append("rated", data)

    # --- what a station sees

    def view(self, station: str) -> dict[str, Any]:
        """All that the page shows, and a sign that the station lives. Nothing in it depends on the policy."""
        stage = self._stage(station)
        self.desk.hear(station)
        with self.store.mutex:
            state, plan = self.store.state, self.store.plan
            trial = state.current(station)
            if trial is not None and trial.open and self._shown.get(station) != trial.id:
                self._set_up(trial)
            judged = sum(t.phase == "labelled" for t in state.trials.values())
            done = state.over or state.unblinded is not None
            status = stage.status()
            return {
                "study": plan.name,
                "instruction": plan.instruction,
                "rubric": {
                    "success": plan.rubric.success,
                    "milestones": plan.rubric.milestones,
                    "failure_tags": plan.rubric.failure_tags,
                },
                "exclusion_reasons": plan.exclusion_reasons,
                "time_limit_s": plan.time_limit_s,
                "station": station,
                "evaluator": state.stations.get(station),
                "judged": judged,
                "most": plan.blocks * plan.arms,
                "over": done,
                "film": self.film_to_rate(state.stations[station]) if station in state.stations else None,
                "trial": None if trial is None else self._trial_view(trial, status),
                "receipt": self.store.head[:12],
                "version": state.events,
            }

    def stations(self) -> list[str]:
        """Names of the stations that may join."""
        return list(self.stages)

    def frame(self, station: str) -> bytes:
        """What the station's camera sees."""
        return self._stage(station).frame()

    def target(self, station: str) -> tuple[bytes, str]:
        """The picture that the station's scene must match, and its type; empty when there is none."""
        trial = self.store.state.current(station)
        if trial is None:
            return b"", ""
        condition = self.store.plan.condition(self.store.state.conditions[trial.block])
        if condition.image:
            kind = "image/png" if condition.image.endswith(".png") else "image/jpeg"
            return (self.store.folder / IMAGES / condition.image).read_bytes(), kind
        return (self._stage(station).target(), "image/jpeg") if self._shown.get(station) == trial.id else (b"", "")

    def film_to_rate(self, rater: str) -> str | None:
        """A filmed trial that somebody else judged and nobody judged again; the one that waits longest."""
        state = self.store.state
        waiting = [
            t.id
            for t in state.trials.values()
            if t.video and t.phase == "labelled" and t.evaluator != rater and t.id not in state.ratings
        ]
        return waiting[0] if waiting else None

    def film(self, trial: str) -> Path:
        """The film of a trial.

        Raises:
            UnknownTrialError: if there is none.
        """
        found = self.store.state.trial(trial)
        if not found.video:
            raise UnknownTrialError("this trial was not filmed", got=trial)
        return self.store.folder / VIDEOS / found.video

    # --- inside

    def _stage(self, station: str) -> Stage:
        if station not in self.stages:
            raise UnknownTrialError("there is no such station", got=repr(station), expected=", ".join(self.stages))
        return self.stages[station]

    def _set_up(self, trial: Trial) -> None:
        if self._shown.get(trial.station) != trial.id:
            self._shown[trial.station] = trial.id
            condition = self.store.plan.condition(self.store.state.conditions[trial.block])
            self._stage(trial.station).show(condition)

    def _trial_view(self, trial: Trial, status: StageStatus) -> dict[str, Any]:
        condition = self.store.plan.condition(self.store.state.conditions[trial.block])
        moving = trial.phase == "running"
        return {
            "id": trial.id,
            "label": trial.label,
            "phase": trial.phase,
            "condition": {"id": condition.id, "description": condition.description, "strata": condition.strata},
            "elapsed_s": round(status.elapsed_s, 1) if moving else trial.duration_s,
            "stop_cause": trial.stop_cause,
            "emergency": trial.emergency,
            "exclusion": trial.exclusion,
            "judgement": None if trial.judgement is None else plain_judgement(trial.judgement),
            "can_undo": trial.phase == "labelled" and not trial.locked,
        }

    def _note_stop(self, station: str, trial: str, cause: StopCause, key: str = "") -> None:
        status = self._stage(station).status()
        self.desk.stopped(station, trial, cause, status.elapsed_s, key, status.steps)

    def _note_film(self, trial: str) -> None:
        path = self.store.folder / VIDEOS / f"{trial}.mp4"
        with self.store.mutex:
            if path.is_file() and not self.store.state.trial(trial).video:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                self.store.append("filmed", {"trial": trial, "file": path.name, "sha256": digest})

    def _recover(self) -> None:
        """Trials that were running when the server died: their robots have come to rest, nobody knows when."""
        for trial in list(self.store.state.trials.values()):
            if trial.phase == "running":
                self.desk.stopped(trial.station, trial.id, "robot error", 0.0)

    def _tick_forever(self) -> None:
        while not self._closing.wait(_TICK_S):
            try:
                self._tick()
            except (RobotStackError, OSError) as error:  # a full disk, say: the next tick tries again
                _LOG.error("%s", error)

    def _tick(self) -> None:
        for lost in self.desk.expire_silent():
            if lost.station in self.stages:  # it may have been served before under other names
                self.stages[lost.station].stop("station lost")
        for station, stage in self.stages.items():
            trial = self.store.state.current(station)
            if trial is not None and trial.phase == "labelled" and self.films and not trial.video:
                self._note_film(trial.id)
            if trial is None or trial.phase != "running":
                continue
            status = stage.status()
            if status.state == "done":
                self._note_stop(station, trial.id, "robot error" if status.error else "episode ended")
            elif status.elapsed_s >= self.store.plan.time_limit_s:
                stage.stop("time limit")
                self._note_stop(station, trial.id, "time limit")
