"""What stations do: take the next trial, run it, judge it. Every action is an event; nothing tells which policy runs.

Actions are idempotent: each carries a key chosen by the station, and one that was done already is not done again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from robot_stack.core.clock import Clock, MonotonicClock
from robot_stack.evaluation.trials.errors import TrialConflictError, UnknownTrialError
from robot_stack.evaluation.trials.store import TrialStore
from robot_stack.evaluation.trials.trial import Judgement, StopCause, Trial

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of labels: no vowels, so that no label is a word."""


def draw_label() -> str:
    """Four letters from the operating system's random numbers: they cannot say anything about the policy."""
    return "".join(secrets.choice(LETTERS) for _ in range(4))


class TrialDesk:
    """The evaluators' side of an open store.

    Args:
        store: open for writing.
        decide: asked before each assignment: after how many counted blocks the study may end, or ``None``.
        clock: of the leases; a monotonic one, for the wall clock may be set.
    """

    def __init__(self, store: TrialStore, decide: Callable[[], int | None], clock: Clock | None = None) -> None:
        self.store = store
        self._decide = decide
        self._clock = clock or MonotonicClock()
        now = self._clock.now()
        self._heard = {t.station: now for t in store.state.trials.values() if t.open}
        """When each station was last heard [s]; after a restart every lease begins anew."""

    def join(self, station: str, evaluator: str, key: str) -> None:
        """A station says who sits at it.

        Raises:
            TrialConflictError: if a name is empty or too long.
        """
        for name in (station, evaluator):
            if not 1 <= len(name.strip()) <= 40 or not name.isprintable():
                raise TrialConflictError("a station and its evaluator need names of 1 to 40 letters", got=repr(name))
        with self.store.mutex:
            self.hear(station)
            if not self._done(key) and self.store.state.stations.get(station) != evaluator:
                self.store.append("joined", {"station": station, "evaluator": evaluator, "key": key})

    def hear(self, station: str) -> None:
        """The station is alive."""
        self._heard[station] = self._clock.now()

    def take_next(self, station: str, key: str) -> Trial | None:
        """The station's trial: the one it has, or a new one; ``None`` when there is nothing (more) to do.

        Raises:
            UnknownTrialError: if the station never joined.
        """
        with self.store.mutex:
            state = self.store.state
            if station not in state.stations:
                raise UnknownTrialError("this station has not joined", got=repr(station), remedy="join first")
            self.hear(station)
            self.expire_silent()
            current = state.current(station)
            if current is not None and (current.open or self._done(key)):
                return current
            if state.unblinded is not None:
                raise TrialConflictError("the trials are over: the key was opened")
            self._ask_whether_to_stop()
            place = None if state.over else self._choose(station)
            return None if place is None else self._assign(station, place, key)

    def confirm(self, station: str, trial: str, key: str) -> None:
        """The scene matches the initial condition."""
        self._act(station, trial, key, "confirmed", {})

    def start(self, station: str, trial: str, key: str) -> bool:
        """The robot begins to move; returns whether this call began it (and not one before it)."""
        return self._act(station, trial, key, "started", {})

    def stopped(
        self, station: str, trial: str, cause: StopCause, duration_s: float, key: str = "", steps: int | None = None
    ) -> bool:
        """The robot is at rest; returns whether this call was the one that said so."""
        data = {"cause": cause, "duration_s": round(duration_s, 3), "steps": steps}
        with self.store.mutex:
            if self._owned(station, trial).phase != "running":
                return False
            return self._act(station, trial, key, "stopped", data)

    def label(self, station: str, trial: str, judgement: Judgement, key: str) -> None:
        """Judge the trial; may be taken back until the next one begins."""
        self._act(station, trial, key, "labelled", plain_judgement(judgement))

    def undo(self, station: str, trial: str, key: str) -> None:
        """Take the last label back."""
        self._act(station, trial, key, "undone", {})

    def exclude(self, station: str, trial: str, reason: str, notes: str, key: str) -> None:
        """The trial does not count, for a reason of the plan's list; its place will be run again."""
        self._act(station, trial, key, "excluded", {"reason": reason, "notes": notes})

    def expire_silent(self) -> list[Trial]:
        """Take trials away from stations that were silent for longer than the lease; returns those trials."""
        with self.store.mutex:
            limit = self._clock.now() - self.store.plan.lease_s
            lost = [t for t in self.store.state.trials.values() if t.open and self._heard.get(t.station, 0.0) < limit]
            for trial in lost:
                self.store.append("expired", {"trial": trial.id})
            return lost

    # --- inside

    def _act(self, station: str, trial: str, key: str, kind: str, data: dict[str, Any]) -> bool:
        with self.store.mutex:
            self.hear(station)
            self._owned(station, trial)
            if self._done(key):
                return False
            keyed = {"key": key} if key else {}
            self.store.append(kind, {"trial": trial, **data, **keyed})
            return True

    def _owned(self, station: str, name: str) -> Trial:
        trial = self.store.state.trial(name)
        if trial.station != station:
            raise TrialConflictError("this trial belongs to another station", got=station, expected=trial.station)
        return trial

    def _done(self, key: str) -> bool:
        return bool(key) and key in self.store.state.keys

    def _ask_whether_to_stop(self) -> None:
        state = self.store.state
        if not state.over and (blocks := self._decide()) is not None:
            self.store.append("decided", {"blocks": blocks})

    def _choose(self, station: str) -> tuple[int, int] | None:
        """A free place: in a block that this station began, else in a new block, else anywhere.

        Within a block, places that were never tried come first: a re-run then is the less likely to be recognised.
        """
        state, plan = self.store.state, self.store.plan
        begun: dict[int, str] = {}
        for (block, _), attempts in state.places.items():
            begun.setdefault(block, attempts[0].station)
        ranked = []
        for block in range(plan.blocks):
            owner = begun.get(block)
            rank = 0 if owner == station else 1 if owner is None else 2
            for place in range(plan.arms):
                if state.place_is_free(block, place) and not state.block_is_void(block):
                    tried = len(state.places.get((block, place), []))
                    ranked.append((rank, block, tried, place))
            if rank == 1:
                break  # blocks after the first new one are no better
        if not ranked:
            return None
        _, block, _, place = min(ranked)
        return block, place

    def _assign(self, station: str, place: tuple[int, int], key: str) -> Trial:
        state = self.store.state
        used = {trial.label for trial in state.trials.values()}
        label = draw_label()
        while label in used:
            label = draw_label()
        data = {
            "trial": f"T{len(state.trials) + 1:04d}",
            "label": label,
            "block": place[0],
            "place": place[1],
            "station": station,
            "evaluator": state.stations[station],
            "key": key,
        }
        self.store.append("assigned", data)
        return state.trial(data["trial"])


def plain_judgement(judgement: Judgement) -> dict[str, Any]:
    """A judgement as it stands in an event."""
    return {
        "success": judgement.success,
        "milestones": list(judgement.milestones),
        "failure_tags": list(judgement.failure_tags),
        "notes": judgement.notes,
    }
