"""Repairing what interruptions leave: bringing an episode back, clearing up, rebuilding what can be derived."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import DatasetError, LockedError
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.repair import repair
from robot_stack.datasets.validate import validate
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import CAMERA, FAST, KEY, arm, frames, images, numbers, record, write_some


def expect_right(root: Path) -> None:
    found = validate(root).findings
    assert not found, [str(f) for f in found]


@pytest.mark.parametrize("storage", ["none", "video", "image"])
def test_the_episode_being_recorded_comes_back(tmp_path: Path, storage: str):
    camera = storage != "none"
    embodiment = arm(cameras=(CAMERA,) if camera else ())
    with DatasetWriter(
        tmp_path,
        embodiment,
        storage=storage if camera else None,  # pyright: ignore[reportArgumentType]
        codec=FAST,
    ) as writer:
        record(writer, 0, camera=camera)
        writer.begin("half done", {"driver": "person"})
        for frame in frames(4, camera=camera)[:5]:
            writer.add(frame)
    assert not repair_again_is_needed(tmp_path, embodiment)
    expect_right(tmp_path)
    with Dataset(tmp_path) as dataset:
        view = dataset.episode(1)
        facts = json.loads(view.facts["provenance"])
        assert facts["recovered"] is True and facts["success"] is None and facts["driver"] == "person"
        assert view.length == 5 and view.tasks == ("half done",)
        for name, values in numbers(4).items():
            assert np.array_equal(view.column(name).reshape(5, *values.shape[1:]), values[:5])
        if storage == "image":
            assert np.array_equal(view.frames(KEY), images(4)[:5])
        if storage == "video":
            assert np.abs(view.frames(KEY).astype(int) - images(4)[:5]).mean() < 20


def repair_again_is_needed(root: Path, embodiment: object) -> bool:
    report = repair(root, codec=FAST)
    assert report.recovered == [1] and report.recovered_frames == 5 and report.episodes == 2
    return repair(root, codec=FAST).changed


def test_opening_to_record_repairs_as_well(tmp_path: Path):
    writer = DatasetWriter(tmp_path, arm())
    record(writer, 0)
    writer.begin("half done")
    writer.add(frames(1)[0])
    writer.close()
    with DatasetWriter(tmp_path, arm()) as writer:
        assert writer.repaired.recovered == [1] and writer.num_episodes == 2
        record(writer, 2)
    expect_right(tmp_path)


def test_an_aborted_or_empty_recording_leaves_nothing(tmp_path: Path):
    writer = DatasetWriter(tmp_path, arm())
    writer.begin("nothing yet")
    writer.close()
    with DatasetWriter(tmp_path, arm()) as writer:
        writer.begin("dropped")
        writer.add(frames(1)[0])
        writer.abort()
        record(writer, 0)
    assert not repair(tmp_path).changed
    with Dataset(tmp_path) as dataset:
        assert dataset.num_episodes == 1


def test_a_sound_dataset_is_left_alone(tmp_path: Path):
    write_some(tmp_path, range(5))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"}
    report = repair(tmp_path)
    assert not report.changed and not report.problems and report.episodes == 5
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"}


def test_leftovers_of_interrupted_writes_are_removed(tmp_path: Path):
    write_some(tmp_path, range(3))
    committed = tmp_path / "data/chunk-000/file-000.parquet"
    shutil.copy(committed, tmp_path / "data/chunk-000/file-001.parquet")
    shutil.copy(committed, tmp_path / "data/chunk-000/.file-002.parquet.4242.tmp")
    shutil.copy(committed, tmp_path / "meta/.info.json.77.tmp")
    (tmp_path / "notes.tmp").write_text("not ours")
    report = repair(tmp_path)
    assert len(report.removed) == 3
    assert (tmp_path / "notes.tmp").exists()
    (tmp_path / "notes.tmp").unlink()
    expect_right(tmp_path)


def test_rows_of_an_interrupted_compaction_are_cut_off(tmp_path: Path):
    write_some(tmp_path / "long", range(6))
    write_some(tmp_path / "short", range(4))
    for name in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"):
        shutil.copy(tmp_path / "long" / name, tmp_path / "short" / name)
    report = repair(tmp_path / "short")
    assert sorted(report.rebuilt) == ["data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"]
    expect_right(tmp_path / "short")
    with Dataset(tmp_path / "short") as dataset:
        assert dataset.num_episodes == 4


@pytest.mark.parametrize("damage", ["missing", "cut", "stale"])
def test_what_can_be_derived_is_rebuilt(tmp_path: Path, damage: str):
    write_some(tmp_path, range(3))
    old = {n: (tmp_path / "meta" / n).read_bytes() for n in ("stats.json", "tasks.parquet")}
    write_some(tmp_path, range(3, 5))
    new = json.loads((tmp_path / "meta/stats.json").read_text())
    for name, data in old.items():
        path = tmp_path / "meta" / name
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(data[: len(data) // 2])
        elif name == "stats.json":
            path.write_bytes(data)
    report = repair(tmp_path)
    assert "meta/stats.json" in report.rebuilt
    assert ("meta/tasks.parquet" in report.rebuilt) == (damage != "stale")
    expect_right(tmp_path)
    rebuilt = json.loads((tmp_path / "meta/stats.json").read_text())
    for name, entry in new.items():
        for key, value in entry.items():
            np.testing.assert_allclose(rebuilt[name][key], value, rtol=1e-9, atol=1e-12)


def test_a_damaged_file_of_rows_is_told_and_the_rest_stays(tmp_path: Path):
    write_some(tmp_path, range(3))
    path = tmp_path / "data/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:500])
    report = repair(tmp_path)
    assert len(report.problems) >= 1 and "file-000.parquet" in report.problems[0]
    assert path.exists()


def test_it_refuses_a_dataset_in_use_and_a_foreign_folder(tmp_path: Path):
    with DatasetWriter(tmp_path / "set", arm()), pytest.raises(LockedError):
        repair(tmp_path / "set")
    with pytest.raises(DatasetError):
        repair(tmp_path)
