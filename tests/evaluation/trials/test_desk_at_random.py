"""Stations that press anything at any time, servers that come and go: whatever happens, the rules hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.desk import TrialDesk
from robot_stack.evaluation.trials.errors import TrialConflictError
from robot_stack.evaluation.trials.status import blind_status
from robot_stack.evaluation.trials.store import TrialStore, read_store
from robot_stack.evaluation.trials.trial import Judgement
from robot_stack.evaluation.trials.verify import verify_store
from tests.evaluation.trials.studies import REASONS, HandClock, make_desk, make_plan, make_store

STATIONS = ("left", "right", "roof")
ACTIONS = (
    "next",
    "next",
    "confirm",
    "start",
    "stop",
    "emergency",
    "label",
    "label",
    "undo",
    "exclude",
    "wait",
    "again",
)
SENSIBLE = {"assigned": "confirm", "confirmed": "start", "running": "stop", "stopped": "label"}


class Chaos:
    """Presses buttons at random, and remembers what was acknowledged."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.rng = root, generator(seed, 99)
        self.clock = HandClock()
        self.pressed: list[tuple[str, str, str, str]] = []
        self.number = 0

    def press(self, store: TrialStore, desk: TrialDesk) -> None:
        station = STATIONS[self.rng.integers(3)]
        action = ACTIONS[self.rng.integers(len(ACTIONS))]
        names = list(store.state.trials) or ["T0001"]
        current = store.state.current(station)
        likely = current is not None and self.rng.random() < 0.8
        trial = current.id if likely and current is not None else names[self.rng.integers(len(names))]
        if current is not None and self.rng.random() < 0.6:
            action = SENSIBLE.get(current.phase, ("undo", "next", "next")[self.rng.integers(3)])
        self.number += 1
        words = (action, station, trial, f"press-{self.number}")
        if action == "again" and self.pressed:
            words = self.pressed[self.rng.integers(len(self.pressed))]
        self.act(desk, *words)
        self.pressed.append(words)

    def act(self, desk: TrialDesk, action: str, station: str, trial: str, key: str) -> None:
        if action == "wait":
            self.clock.now_s += float(self.rng.uniform(0, 30))
            desk.expire_silent()
        elif action == "next":
            desk.take_next(station, key)
        elif action in ("stop", "emergency"):
            desk.stopped(station, trial, "evaluator" if action == "stop" else "emergency stop", 1.0, key)
        elif action == "label":
            success = sum(map(ord, trial + key)) % 2 == 0
            desk.label(station, trial, Judgement(success, (True, success)), key)
        elif action == "exclude":
            desk.exclude(station, trial, REASONS[0], "", key)
        elif action in ("confirm", "start", "undo"):
            getattr(desk, action)(station, trial, key)

    def check(self, store: TrialStore) -> None:
        state = store.state
        for attempts in state.places.values():
            assert sum(t.phase == "labelled" for t in attempts) <= 1
            assert all(not t.open for t in attempts[:-1]), "one station at a time in a place"
            assert [t.attempt for t in attempts] == list(range(len(attempts)))
        for station in STATIONS:
            assert sum(t.open for t in state.trials.values() if t.station == station) <= 1
        for trial in state.trials.values():
            assert (trial.judgement is not None) == (trial.phase == "labelled")
            assert not (trial.emergency and trial.judgement is not None and trial.judgement.success)
        assert len({t.label for t in state.trials.values()}) == len(state.trials)


@pytest.mark.parametrize("seed", range(3))
def test_anything_at_any_time(tmp_path: Path, seed: int) -> None:
    root = make_store(tmp_path / "study", make_plan(arms=3, n_max=40, max_reruns=2))
    chaos = Chaos(root, seed)
    refused = 0
    for _ in range(6):  # servers
        with TrialStore(root) as store:
            before = blind_status(store.state)
            assert before == blind_status(read_store(root).state)
            desk: TrialDesk = make_desk(store, chaos.clock)
            for station in STATIONS:
                desk.join(station, "Ada", f"join-{chaos.number}-{station}")
            for _ in range(120):
                events = store.state.events
                try:
                    chaos.press(store, desk)
                except TrialConflictError:
                    refused += 1
                    assert store.state.events - events <= len(STATIONS) + 1, "only silence and a decision are noted"
                chaos.check(store)
    assert all(check.ok for check in verify_store(root))
    status = blind_status(read_store(root).state)
    assert refused > 50 and status.labelled > 3 and status.undone > 0
    assert status.excluded and np.isfinite(status.success.rate)
