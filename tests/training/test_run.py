"""Run folders: what is in them, who may write, what they say afterwards."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from robot_stack.core.errors import CheckpointError, ConfigError, LockedError, StorageError
from robot_stack.training.event_log import EventLog, read_events
from robot_stack.training.run import create_run, fill_run, open_run, read_config, read_status


@dataclass(frozen=True)
class Config:
    lr: float = 0.1
    widths: tuple[int, ...] = (3, 4)


def test_a_run_folder_tells_where_it_came_from(tmp_path: Path) -> None:
    with create_run(tmp_path / "runs", "reach", Config(), command=["robot-stack", "train", "a b"]) as run:
        run.log("hello")
        assert read_status(run.folder) == ("running", "")
        run.set_status("finished")
    folder = run.folder
    assert folder.parent == tmp_path / "runs"
    date, name, digest = folder.name.split("_")
    assert (len(date), name, len(digest)) == (10, "reach", 6)
    assert read_config(folder) == {"lr": 0.1, "widths": [3, 4]}
    assert shlex.split((folder / "command.txt").read_text()) == ["robot-stack", "train", "a b"]
    environment = json.loads((folder / "environment.json").read_text())
    assert any(line.startswith("numpy==") for line in environment["packages"])
    assert environment["libraries"]["torch"]
    assert (folder / "git.diff").is_file()
    assert "hello" in (folder / "log.txt").read_text()
    assert read_status(folder) == ("finished", "")


def test_equal_configs_share_the_hash_but_not_the_folder(tmp_path: Path) -> None:
    folders = []
    for config in (Config(), Config(), Config(lr=0.2)):
        with create_run(tmp_path, "x", config) as run:
            folders.append(run.folder.name)
    assert folders[1] == f"{folders[0]}-2"
    assert folders[2].split("_")[2] != folders[0].split("_")[2]


def test_two_processes_cannot_hold_one_run(tmp_path: Path) -> None:
    with create_run(tmp_path, "x", Config()) as run:
        code = (
            "import sys; from pathlib import Path\n"
            "from robot_stack.training.run import open_run\n"
            "from robot_stack.core.errors import LockedError\n"
            "try:\n    open_run(Path(sys.argv[1]))\n"
            "except LockedError as error:\n    sys.stdout.write(str(error)); sys.exit(7)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(run.folder)], capture_output=True, text=True)
        assert done.returncode == 7, done.stderr
        assert f'"pid": {os.getpid()}' in done.stdout and "run folder" in done.stdout
        with pytest.raises(LockedError):
            open_run(run.folder)
        assert read_status(run.folder)[0] == "running"
    open_run(run.folder).close()


def test_an_error_is_written_into_the_status(tmp_path: Path) -> None:
    with pytest.raises(ValueError), create_run(tmp_path, "x", Config()) as run:
        raise ValueError("too hot")
    assert read_status(run.folder) == ("crashed", "ValueError: too hot")


def test_a_run_that_was_killed_counts_as_crashed(tmp_path: Path) -> None:
    run = create_run(tmp_path, "x", Config())
    run.close()  # the operating system does this to a killed process
    assert read_status(run.folder)[0] == "crashed"


def test_bad_names_foreign_folders_and_second_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="letters"):
        create_run(tmp_path, "../up", Config())
    with pytest.raises(CheckpointError, match="no run folder"):
        open_run(tmp_path)
    fill_run(tmp_path / "mine", Config()).close()
    with pytest.raises(ConfigError, match="--resume"):
        fill_run(tmp_path / "mine", Config())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    run = create_run(tmp_path, "x", Config())
    run._log.close()
    run._log = Path("/dev/full").open("w")  # noqa: SIM115 - closed with the run
    with pytest.raises(StorageError, match="free disk space"):
        run.log("hello")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="choose another folder"):
        create_run(tmp_path / "runs", "x", Config())


def test_a_place_that_cannot_hold_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="read-only"):
        create_run(tmp_path / "runs", "x", Config())


def test_events_survive_a_crash_and_forget_what_a_resume_undid(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for step in (1, 2, 3):
        log.write("train", step, loss=float(step))
    log.close()
    with path.open("a") as file:
        file.write('{"kind": "train", "st')
    assert [e["step"] for e in read_events(path)] == [1, 2, 3]
    log = EventLog(path)
    log.write("resumed", 2)
    log.write("train", 3, loss=30.0)
    log.write("validation", 3, loss=float("nan"))
    log.close()
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert [(e["step"], e["loss"]) for e in read_events(path, "train")] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert read_events(path, "validation")[0]["loss"] is None


def test_an_empty_torn_log_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind"')
    EventLog(path).close()
    assert path.read_text() == ""
