from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from robot_stack.evaluation.trials.errors import TrialConflictError, UnknownTrialError
from robot_stack.evaluation.trials.status import blind_status
from robot_stack.evaluation.trials.store import TrialStore
from robot_stack.evaluation.trials.trial import Judgement, Trial
from tests.evaluation.trials.studies import HandClock, make_desk, make_plan, make_store, run_to_stop, run_trial

GOOD = Judgement(True, (True, True))


@pytest.fixture
def store(tmp_path: Path):
    with TrialStore(make_store(tmp_path / "study", make_plan(arms=3, n_max=8))) as opened:
        yield opened


def take(desk, station: str, key: str) -> Trial:
    trial = desk.take_next(station, key)
    assert trial is not None
    return trial


def test_each_action_needs_the_one_before(store: TrialStore) -> None:
    desk = make_desk(store)
    with pytest.raises(UnknownTrialError, match="not joined"):
        desk.take_next("bench", "n")
    desk.join("bench", "Ada", "j")
    trial = take(desk, "bench", "n")
    events = store.state.events
    for attempt in (
        lambda: desk.start("bench", trial.id, "a"),
        lambda: desk.label("bench", trial.id, GOOD, "b"),
        lambda: desk.undo("bench", trial.id, "c"),
        lambda: desk.confirm("other", trial.id, "d"),
        lambda: desk.label("bench", "T9999", GOOD, "e"),
        lambda: desk.exclude("bench", trial.id, "I do not like it", "", "f"),
    ):
        with pytest.raises(TrialConflictError):
            attempt()
    assert not desk.stopped("bench", trial.id, "evaluator", 1.0)
    assert store.state.events == events, "a refusal writes nothing"
    run_to_stop(desk, trial)
    with pytest.raises(TrialConflictError, match="every milestone"):
        desk.label("bench", trial.id, Judgement(True, (True,)), "g")
    with pytest.raises(TrialConflictError, match="not in the plan"):
        desk.label("bench", trial.id, Judgement(False, (True, True), ("sulked",)), "h")
    desk.label("bench", trial.id, GOOD, "i")
    with pytest.raises(TrialConflictError, match="take the label back"):
        desk.label("bench", trial.id, GOOD, "k")
    assert trial.phase == "labelled" and trial.judgement == GOOD


def test_a_key_that_was_used_does_nothing_again(store: TrialStore) -> None:
    desk = make_desk(store)
    desk.join("bench", "Ada", "j")
    first = take(desk, "bench", "n")
    assert take(desk, "bench", "n").id == take(desk, "bench", "other").id == first.id
    for _ in range(3):
        desk.confirm("bench", first.id, "c")
    assert desk.start("bench", first.id, "s") and not desk.start("bench", first.id, "s")
    desk.stopped("bench", first.id, "evaluator", 2.0, "t")
    for _ in range(3):
        desk.label("bench", first.id, GOOD, "l")
    assert [t.id for t in store.state.trials.values()] == [first.id]
    assert take(desk, "bench", "n").id == first.id, "a repeated request does not begin another trial"
    assert take(desk, "bench", "n2").id != first.id
    assert sum(t.judgement is not None for t in store.state.trials.values()) == 1


def test_a_label_is_taken_back_until_the_next_trial_begins(store: TrialStore) -> None:
    desk = make_desk(store)
    desk.join("bench", "Ada", "j")
    first = take(desk, "bench", "n1")
    run_trial(desk, first, True)
    desk.undo("bench", first.id, "u")
    assert first.phase == "stopped" and first.judgement is None
    desk.label("bench", first.id, Judgement(False, (True, False), ("missed",)), "again")
    assert first.judgement is not None and not first.judgement.success and first.undone == 1
    take(desk, "bench", "n2")
    assert first.locked
    with pytest.raises(TrialConflictError, match="locked"):
        desk.undo("bench", first.id, "u2")


def test_an_excluded_trial_is_run_again_in_its_block_with_the_same_policy(store: TrialStore) -> None:
    desk, key = make_desk(store), store.key()
    desk.join("bench", "Ada", "j")
    first = take(desk, "bench", "n0")
    desk.confirm("bench", first.id, "c")
    desk.start("bench", first.id, "s")
    desk.exclude("bench", first.id, "hardware fault", "the gripper cable", "x")
    assert not store.state.place_is_done(first.block, first.place)
    seen = []
    for i in range(3):
        trial = take(desk, "bench", f"n{i + 1}")
        seen.append(trial)
        run_trial(desk, trial, True)
    assert [t.block for t in seen] == [first.block] * 3
    again = seen[-1]
    assert (again.place, again.attempt) == (first.place, 1), "after the places that were never tried"
    assert key.arm(again.block, again.place) == key.arm(first.block, first.place)
    assert again.label != first.label
    assert store.state.counted_blocks() == (first.block,)


def test_a_place_is_not_run_again_for_ever(tmp_path: Path) -> None:
    with TrialStore(make_store(tmp_path / "s", make_plan(n_max=2, max_reruns=2))) as store:
        desk = make_desk(store)
        desk.join("bench", "Ada", "j")
        blocks = []
        while (trial := desk.take_next("bench", f"n{len(blocks)}")) is not None:
            blocks.append(trial.block)
            if trial.block == 0 and trial.place == 0:
                desk.exclude("bench", trial.id, "hardware fault", "", f"x{trial.id}")
            else:
                run_trial(desk, trial, True)
        assert Counter(blocks) == {0: 4, 1: 2}, "three attempts in the bad place, one in its neighbour"
        assert store.state.block_is_void(0) and store.state.counted_blocks() == (1,)
        assert store.state.over, "a void block does not hold the study up"


def test_two_stations_keep_to_their_blocks_and_help_at_the_end(store: TrialStore) -> None:
    desk = make_desk(store, stop=False)
    for station, who in (("left", "Ada"), ("right", "Bob")):
        desk.join(station, who, f"j{station}")
    held: dict[str, Trial] = {}
    for number in range(200):
        station = ("left", "right", "right")[number % 3]
        trial = desk.take_next(station, f"n{number}")
        if trial is None:
            continue
        assert all(other.id != trial.id for name, other in held.items() if name != station)
        held[station] = trial
        run_trial(desk, trial, True)
        del held[station]
    places = [(t.block, t.place) for t in store.state.trials.values()]
    assert len(places) == len(set(places)) == 24
    owners = {b: {t.station for t in store.state.trials.values() if t.block == b} for b in range(8)}
    assert sum(len(names) > 1 for names in owners.values()) <= 1
    assert store.state.exhausted()


def test_blocks_ahead_of_an_open_one_wait(store: TrialStore) -> None:
    desk = make_desk(store)
    desk.join("slow", "Ada", "j1")
    desk.join("fast", "Bob", "j2")
    take(desk, "slow", "s0")
    for i in range(6):
        run_trial(desk, take(desk, "fast", f"f{i}"), True)
    status = blind_status(store.state)
    assert (status.blocks_complete, status.blocks_counted) == (2, 0)


def test_a_silent_station_loses_its_trial(store: TrialStore) -> None:
    clock = HandClock()
    desk = make_desk(store, clock)
    desk.join("phone", "Ada", "j1")
    desk.join("laptop", "Bob", "j2")
    lost = take(desk, "phone", "p")
    desk.confirm("phone", lost.id, "c")
    clock.now_s = 59.0
    assert desk.expire_silent() == []
    desk.hear("phone")
    clock.now_s = 100.0
    desk.hear("laptop")
    assert desk.expire_silent() == []
    clock.now_s = 120.0
    assert [t.id for t in desk.expire_silent()] == [lost.id]
    seen = {(t.block, t.place) for t in (take_and_run(desk, "laptop", i) for i in range(3))}
    assert len(seen) == 3
    with pytest.raises(TrialConflictError, match="expired"):
        desk.start("phone", lost.id, "s")
    back = [take_and_run(desk, "phone", i) for i in range(3)][-1]
    assert (back.block, back.place, back.attempt) == (lost.block, lost.place, 1)
    assert blind_status(store.state).expired == 1


def take_and_run(desk, station: str, number: int) -> Trial:
    trial = take(desk, station, f"{station}{number}")
    run_trial(desk, trial, True)
    return trial


def test_leases_begin_anew_when_the_server_does(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s")
    with TrialStore(root) as store:
        desk = make_desk(store, HandClock(1e6))
        desk.join("phone", "Ada", "j")
        trial = take(desk, "phone", "n")
    with TrialStore(root) as store:
        clock = HandClock(5.0)
        desk = make_desk(store, clock)
        assert desk.expire_silent() == []
        assert take(desk, "phone", "later").id == trial.id
        clock.now_s = 66.0
        assert [t.id for t in desk.expire_silent()] == [trial.id]


def test_an_emergency_stop_is_a_failure_or_excluded(store: TrialStore) -> None:
    desk = make_desk(store)
    desk.join("bench", "Ada", "j")
    trial = take(desk, "bench", "n")
    desk.confirm("bench", trial.id, "c")
    desk.start("bench", trial.id, "s")
    desk.stopped("bench", trial.id, "emergency stop", 1.0, "e")
    with pytest.raises(TrialConflictError, match="emergency"):
        desk.label("bench", trial.id, GOOD, "l")
    desk.label("bench", trial.id, Judgement(False, (False, False), ("missed",)), "l2")
    assert blind_status(store.state).emergency_stops == 1


def test_labels_are_new_each_time_and_say_nothing(tmp_path: Path) -> None:
    labels: list[set[str]] = []
    for i in range(2):
        with TrialStore(make_store(tmp_path / f"s{i}", make_plan(n_max=12))) as store:
            desk = make_desk(store, stop=False)
            desk.join("bench", "Ada", "j")
            trials = [take_and_run(desk, "bench", k) for k in range(24)]
            labels.append({t.label for t in trials})
            assert len(labels[-1]) == 24 and all(len(t.label) == 4 for t in trials)
    assert labels[0] != labels[1], "equal secrets and equal plans still give other labels"


def test_a_second_judge_is_another_person(store: TrialStore) -> None:
    desk = make_desk(store)
    desk.join("bench", "Ada", "j")
    trial = take_and_run(desk, "bench", 0)
    rated = {"trial": trial.id, "success": False, "milestones": [True, False], "failure_tags": [], "notes": ""}
    with pytest.raises(TrialConflictError, match="another person"):
        store.append("rated", {**rated, "rater": "Ada"})
    store.append("rated", {**rated, "rater": "Bob"})
    status = blind_status(store.state)
    assert (status.second_ratings, status.rater_agreement) == (1, 0.0)
    assert trial.judgement is not None and trial.judgement.success, "the first label stands"
