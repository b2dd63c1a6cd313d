"""Records until a small disk is full, frees space, goes on; run by test_full_disk.py inside its own mount namespace.

Usage: full_disk.py FOLDER STORAGE, where FOLDER is the root of a small file system; STORAGE is none, video or image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import StorageError
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.repair import repair
from robot_stack.datasets.schema import require_storage
from robot_stack.datasets.validate import validate
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import CAMERA, FAST, KEY, arm, frames, images, numbers


def main(disk: Path, storage: str) -> None:
    camera = storage != "none"
    embodiment = arm(cameras=(CAMERA,) if camera else ())
    root, ballast = disk / "set", disk / "ballast"
    writer = DatasetWriter(root, embodiment, storage=require_storage(storage) if camera else None, codec=FAST)
    committed, errors, kinds, seed = [], 0, set(), 0
    room = np.random.default_rng(5)
    while errors < 9:
        fill(disk, ballast, int(room.integers(0, 150_000)))
        refused = record_until_full(writer, seed, camera)
        if refused is None:
            committed.append(seed)
            seed += 1
            continue
        errors += 1
        kinds.add(refused)
        ballast.unlink(missing_ok=True)
        if writer.recording and errors % 3 == 1:  # the same writer goes on with the same episode
            finish(writer, seed, camera)
            committed.append(seed)
            seed += 1
        elif errors % 3 == 2:  # gives the episode up
            writer.abort()
        else:  # is opened anew, which brings the frames of the episode back
            writer.close(join_files=False)
            report = repair(root, codec=FAST)
            committed += [seed] * len(report.recovered)
            seed += len(report.recovered)
            writer = DatasetWriter(root, embodiment, codec=FAST)
        whole(writer, seed, embodiment, camera)
        committed.append(seed)
        seed += 1
        check(root, committed)
    writer.close()
    findings = [str(f) for f in validate(root).findings]
    assert not findings, findings
    check(root, committed)
    print(json.dumps({"errors": errors, "kinds": sorted(kinds), "episodes": len(committed)}))


def fill(disk: Path, ballast: Path, leave: int) -> None:
    """Fill the disk but for some bytes."""
    ballast.unlink(missing_ok=True)
    status = os.statvfs(disk)
    size = max(0, status.f_bavail * status.f_frsize - leave)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


def record_until_full(writer: DatasetWriter, seed: int, camera: bool) -> str | None:
    """Record an episode; the name of the call that met the full disk, or nothing."""
    stage = "begin"
    try:
        if not writer.recording:
            writer.begin(f"task {seed % 3}", {"seed": seed})
        stage = "add"
        for frame in frames(seed, camera=camera)[writer.recorded_frames :]:
            writer.add(frame)
        stage = "commit"
        writer.commit()
    except StorageError as error:
        assert "space" in str(error) and "what to do" in str(error), str(error)
        return stage
    return None


def finish(writer: DatasetWriter, seed: int, camera: bool) -> None:
    assert record_until_full(writer, seed, camera) is None


def whole(writer: DatasetWriter, seed: int, embodiment: Embodiment, camera: bool) -> None:
    pictures = {KEY: images(seed)} if camera else None
    writer.write_episode(EpisodeBuffer(embodiment, f"task {seed % 3}", {"seed": seed}, numbers(seed), pictures))


def check(root: Path, committed: list[int]) -> None:
    """Every committed episode is there; recovered ones may be shorter."""
    found = validate(root, quick=True).of("error")
    assert not found, [str(f) for f in found]
    with Dataset(root, cache_dir=Path(os.environ["CACHE"]) / str(len(committed))) as dataset:
        assert dataset.num_episodes == len(committed), (dataset.num_episodes, committed)
        for number, seed in enumerate(committed):
            view = dataset.episode(number)
            for name, values in numbers(seed).items():
                got = view.column(name).reshape(view.length, *values.shape[1:])
                assert np.array_equal(got, values[: view.length]), (number, seed, name)


def read_only(disk: Path) -> None:
    """A disk that became read-only: what is there can be read and checked, writing tells what is wrong."""
    root = disk / "set"
    with DatasetWriter(root, arm(), codec=FAST) as writer:
        whole(writer, 0, arm(), False)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    check(root, [0])
    for attempt in (
        lambda: DatasetWriter(root, arm()),
        lambda: DatasetWriter(disk / "new", arm()),
        lambda: repair(root),
    ):
        try:
            attempt()
        except StorageError as error:
            assert "read-only" in str(error).lower(), str(error)
        else:
            raise AssertionError("writing to a read-only disk was not refused")
    print(json.dumps({}))


if __name__ == "__main__":
    if sys.argv[2] == "read-only":
        read_only(Path(sys.argv[1]))
    else:
        main(Path(sys.argv[1]), sys.argv[2])
