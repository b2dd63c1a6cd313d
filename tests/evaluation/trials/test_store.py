from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from robot_stack.core.config_json import canonical_json
from robot_stack.core.errors import LockedError, StorageError
from robot_stack.evaluation.trials import store as store_module
from robot_stack.evaluation.trials.errors import (
    BlindedError,
    KeyMismatchError,
    LogDamagedError,
    PlanChangedError,
    StoreError,
    TrialConflictError,
)
from robot_stack.evaluation.trials.event_log import EventLog, make_event, parse_log
from robot_stack.evaluation.trials.index import TrialIndex, read_index
from robot_stack.evaluation.trials.status import blind_status
from robot_stack.evaluation.trials.store import EVENTS, INDEX, KEY, PLAN, TrialStore, create_store, read_store
from robot_stack.evaluation.trials.unblind import opened_key, unblind
from robot_stack.evaluation.trials.verify import check_policies, verify_store
from tests.evaluation.trials.studies import HandClock, make_desk, make_plan, make_store, run_study, run_trial


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A study that ran to its end and is still blind."""
    root = make_store(tmp_path / "study")
    with TrialStore(root) as store:
        run_study(store, (0.5, 1.0))
    return root


def lines_of(root: Path) -> list[bytes]:
    return (root / EVENTS).read_bytes().splitlines(keepends=True)


def test_reopening_gives_the_same_state(finished: Path) -> None:
    seen = blind_status(read_store(finished).state)
    with TrialStore(finished) as store:
        assert blind_status(store.state) == seen
    assert seen.labelled == 12 and seen.advice == "stop" and seen.success.successes == 9


def test_the_key_is_for_its_owner_only(finished: Path) -> None:
    assert stat.S_IMODE((finished / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((finished / KEY).parent.stat().st_mode) == 0o700


def test_the_log_never_says_which_policy_ran(finished: Path) -> None:
    for event in read_store(finished).events[1:]:
        text = canonical_json(event.data)
        assert "policy" not in text and "arm" not in json.loads(text)


def test_a_store_is_not_made_over_something(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    create_store(tmp_path / "here", make_plan())
    with pytest.raises(StoreError, match="already"):
        create_store(tmp_path / "here", make_plan())
    with pytest.raises(StoreError, match="no trial store"):
        TrialStore(tmp_path / "nowhere")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_two_servers_on_one_store(finished: Path) -> None:
    with TrialStore(finished):
        code = (
            "import sys\nfrom robot_stack.core.errors import LockedError\n"
            "from robot_stack.evaluation.trials.store import TrialStore\n"
            "try:\n    TrialStore(sys.argv[1])\nexcept LockedError as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(finished)], capture_output=True, text=True, check=True)
        assert "another process is writing this trial store" in done.stdout and str(os.getpid()) in done.stdout
        with pytest.raises(LockedError):
            TrialStore(finished)
        assert read_store(finished).state.trials, "looking is allowed"


# --- what was tampered with is found and named


def test_an_edited_event_is_named(finished: Path) -> None:
    lines = lines_of(finished)
    number = next(i for i, line in enumerate(lines) if b'"success":false' in line)
    lines[number] = lines[number].replace(b'"success":false', b'"success":true')
    (finished / EVENTS).write_bytes(b"".join(lines))
    with pytest.raises(LogDamagedError, match=f"line {number + 1}"):
        TrialStore(finished)
    check = verify_store(finished)[0]
    assert not check.ok and f"line {number + 1}" in check.detail and "labelled" in check.detail


def test_an_event_edited_with_a_new_hash_breaks_the_chain(finished: Path) -> None:
    lines = lines_of(finished)
    number = next(i for i, line in enumerate(lines) if b'"success":false' in line)
    old = json.loads(lines[number])
    old["data"]["success"] = True
    new = make_event(old["seq"], old["kind"], old["data"], old["prev"], old["time_s"], old["mono_s"])
    lines[number] = new.line().encode() + b"\n"
    (finished / EVENTS).write_bytes(b"".join(lines))
    with pytest.raises(LogDamagedError, match=f"line {number + 2}"):
        TrialStore(finished)


def test_a_log_written_anew_from_the_edit_on_is_found_by_the_second_copy(finished: Path) -> None:
    events = [json.loads(line) for line in lines_of(finished)]
    prev, rewritten = "0" * 64, []
    for old in events:
        if old["kind"] == "labelled":
            old["data"]["success"] = True
        event = make_event(old["seq"], old["kind"], old["data"], prev, old["time_s"], old["mono_s"])
        prev = event.hash
        rewritten.append(event.line().encode() + b"\n")
    (finished / EVENTS).write_bytes(b"".join(rewritten))
    with pytest.raises(LogDamagedError, match="written anew"):
        TrialStore(finished)
    assert [c.name for c in verify_store(finished) if not c.ok] == ["second copy of the log"]


@pytest.mark.parametrize("cut", [1, 7])
def test_a_log_cut_short_is_found(finished: Path, cut: int) -> None:
    lines = lines_of(finished)
    (finished / EVENTS).write_bytes(b"".join(lines[:-cut]))
    with pytest.raises(LogDamagedError, match="cut short") as caught:
        TrialStore(finished)
    assert f"{len(lines)} events" in str(caught.value) and f"{len(lines) - cut} events" in str(caught.value)
    assert not all(check.ok for check in verify_store(finished))


def test_a_removed_and_a_moved_line_are_named(finished: Path) -> None:
    lines = lines_of(finished)
    (finished / EVENTS).write_bytes(b"".join(lines[:5] + lines[6:]))
    with pytest.raises(LogDamagedError, match="line 6"):
        read_store_from_log(finished)
    (finished / EVENTS).write_bytes(b"".join([*lines[:5], lines[6], lines[5], *lines[7:]]))
    with pytest.raises(LogDamagedError, match="line 6"):
        read_store_from_log(finished)


def read_store_from_log(root: Path) -> None:
    parse_log((root / EVENTS).read_bytes(), root / EVENTS)


def test_garbage_in_the_log_is_named(finished: Path) -> None:
    lines = lines_of(finished)
    lines[3] = b"\x00\xff garbage\n"
    (finished / EVENTS).write_bytes(b"".join(lines))
    with pytest.raises(LogDamagedError, match="line 4"):
        TrialStore(finished)


def test_a_torn_last_line_is_cut_off_and_noted(finished: Path) -> None:
    whole = len(lines_of(finished))
    with (finished / EVENTS).open("ab") as file:
        file.write(b'{"data":{"trial":"T00')
    with TrialStore(finished) as store:
        assert store.state.events == whole + 1
        assert "21 bytes of an unfinished event" in store.state.deviations[-1][1]
    with TrialStore(finished) as store:
        assert store.state.events == whole + 1


def test_a_lost_second_copy_is_made_again(finished: Path) -> None:
    for path in finished.glob(f"{INDEX}*"):
        path.unlink()
    with TrialStore(finished) as store:
        events = store.state.events
    assert len(read_store(finished).events) == events


def test_a_label_that_was_logged_and_not_copied_is_seen(finished: Path) -> None:
    events = read_store(finished).events
    for path in finished.glob(f"{INDEX}*"):
        path.unlink()
    index = TrialIndex(finished / INDEX)
    for event in events[:-3]:
        index.add(event)
    index.close()
    assert read_store(finished).events == events
    with TrialStore(finished) as store:
        assert store.state.events == len(events)


def test_an_edited_plan_is_refused_with_the_difference(finished: Path) -> None:
    plan = json.loads((finished / PLAN).read_text())
    plan["stopping"]["alpha"] = 0.2
    plan["conditions"][1]["seed"] = 5
    (finished / PLAN).write_text(json.dumps(plan))
    with pytest.raises(PlanChangedError) as caught:
        TrialStore(finished)
    assert "stopping.alpha: frozen 0.05, now 0.2" in str(caught.value)
    assert "conditions.1.seed: frozen 101, now 5" in str(caught.value)
    with pytest.raises(PlanChangedError):
        read_store(finished)


def test_a_changed_key_is_found_on_opening_and_by_the_audit(finished: Path) -> None:
    key = json.loads((finished / KEY).read_text())
    key["orders"][0] = key["orders"][0][::-1]
    (finished / KEY).write_text(json.dumps(key))
    with TrialStore(finished) as store, pytest.raises(KeyMismatchError, match="commitment"):
        unblind(store, "Ada")
    assert [c.name for c in verify_store(finished) if not c.ok] == ["key and commitment"]
    (finished / KEY).unlink()
    with TrialStore(finished) as store, pytest.raises(KeyMismatchError, match="missing"):
        store.key()


def test_a_changed_policy_is_named() -> None:
    plan = make_plan()
    check_policies(plan, lambda policy: policy.sha256)
    with pytest.raises(PlanChangedError, match="beta-policy"):
        check_policies(plan, lambda policy: "1" * 64)


def test_a_sound_store_passes_every_check(finished: Path) -> None:
    checks = verify_store(finished, lambda policy: policy.sha256)
    assert [c for c in checks if not c.ok] == [] and len(checks) == 7
    commitment = json.loads((finished / "commitment.json").read_text())["commitment"]
    assert any(commitment in check.detail for check in checks)


def test_target_pictures_are_checked(tmp_path: Path) -> None:
    from dataclasses import replace

    conditions = tuple(replace(c, image="a.png", image_sha256="0" * 64) for c in make_plan().conditions)
    with pytest.raises(PlanChangedError, match="picture"):
        create_store(tmp_path / "s", make_plan(conditions=conditions), images={"a.png": b"x"})
    assert not (tmp_path / "s").exists()


# --- opening the key


def test_unblinding_waits_for_the_end_or_a_reason(tmp_path: Path) -> None:
    root = make_store(tmp_path / "study")
    with TrialStore(root) as store:
        desk = make_desk(store)
        desk.join("bench", "Ada", "j")
        trial = desk.take_next("bench", "n")
        assert trial is not None
        with pytest.raises(BlindedError, match="under way"):
            unblind(store, "Ada", "impatient")
        run_trial(desk, trial, True)
        with pytest.raises(BlindedError, match="not over"):
            unblind(store, "Ada")
        with pytest.raises(BlindedError, match="still blind"):
            opened_key(str(root), store.state)
        key = unblind(store, "Ada", "the robot broke")
        assert opened_key(str(root), store.state) == key
        assert any("early by Ada: the robot broke" in text for _, text in store.state.deviations)
        with pytest.raises(TrialConflictError, match="key was opened"):
            desk.take_next("bench", "n2")
        with pytest.raises(TrialConflictError, match="key was opened"):
            desk.undo("bench", trial.id, "u")


def test_unblinding_twice_is_one_event(finished: Path) -> None:
    with TrialStore(finished) as store:
        first = unblind(store, "Ada")
        events = store.state.events
        assert unblind(store, "Bob") == first and store.state.events == events
    assert json.loads((finished / "unblinded.json").read_text())["policies"] == ["alpha-policy", "beta-policy"]
    assert all(check.ok for check in verify_store(finished))


# --- the disk and the clock


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / EVENTS)
    log.append("created", {"a": 1})
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) > 10:
            return real(descriptor, data[:10], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match="disk"):
        log.append("joined", {"b": 2})
    monkeypatch.undo()
    with pytest.raises(StorageError, match="closed"):
        log.append("joined", {"b": 2})
    again = EventLog(tmp_path / EVENTS)
    assert [e.kind for e in again.events] == ["created"] and again.torn == 0


def test_a_copy_that_cannot_be_written_catches_up_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_store(tmp_path / "study")
    with TrialStore(root) as store:
        desk = make_desk(store)
        desk.join("bench", "Ada", "j")
        with monkeypatch.context() as patch:
            patch.setattr(TrialIndex, "add", _full)
            trial = desk.take_next("bench", "n")
        assert trial is not None and len(read_store(root).events) == store.state.events
        run_trial(desk, trial, True)
        events = store.state.events
    assert len(read_index(root / INDEX)) == events
    assert all(check.ok for check in verify_store(root))


def _full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_a_clock_that_goes_back_is_a_deviation_and_changes_no_order(tmp_path: Path) -> None:
    clock = HandClock(1000.0)
    root = make_store(tmp_path / "study")
    with TrialStore(root, wall=clock) as store:
        desk = make_desk(store)
        clock.now_s = 2e9
        desk.join("bench", "Ada", "j")
        clock.now_s -= 3600
        trial = desk.take_next("bench", "n")
        assert trial is not None
        run_trial(desk, trial, True)
        assert [text for _, text in store.state.deviations if "went back by 3600 s" in text]
    with TrialStore(root, wall=clock) as store:
        assert store.state.trial(trial.id).judgement is not None
        assert len(store.state.deviations) == 1


def test_an_event_that_contradicts_the_log_is_found_though_its_hashes_are_right(finished: Path) -> None:
    data = (finished / EVENTS).read_bytes()
    events, _ = parse_log(data, finished / EVENTS)
    forged = make_event(len(events), "labelled", {"trial": "T0001", "success": True, "milestones": [True, True],
        "failure_tags": [], "notes": ""}, events[-1].hash, events[-1].time_s, 0.0)  # fmt: skip
    (finished / EVENTS).write_bytes(data + forged.line().encode() + b"\n")
    with pytest.raises(LogDamagedError, match="contradicts"):
        TrialStore(finished)
    assert store_module.EVENTS == EVENTS
