"""A disk that is full or read-only, for real: a small file system mounted in a namespace of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import StorageError
from robot_stack.datasets.validate import validate
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import arm, record

ROOT = Path(__file__).resolve().parents[2]


def run_on_small_disk(folder: Path, size: str, mode: str) -> dict:
    disk, cache = folder / "disk", folder / "cache"
    disk.mkdir()
    cache.mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs "$1" && mount -t tmpfs tmpfs "$CACHE" || exit 77; shift; exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", str(disk)]
    command += [sys.executable, "-m", "tests.datasets.full_disk", str(disk), mode]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CACHE": str(cache)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=280)
    except FileNotFoundError:
        pytest.skip("this machine has no unshare command")
    if done.returncode == 77 or "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("storage", "size"), [("none", "1m"), ("image", "2m"), ("video", "2m")])
def test_nothing_committed_is_lost_and_recording_goes_on(tmp_path: Path, storage: str, size: str):
    told = run_on_small_disk(tmp_path, size, storage)
    assert told["errors"] == 9 and len(told["kinds"]) >= 2, told


def test_a_read_only_disk(tmp_path: Path):
    run_on_small_disk(tmp_path, "1m", "read-only")


def test_a_file_that_may_not_grow(tmp_path: Path):
    """The same through a limit of the process, which needs no mounting."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DatasetWriter(tmp_path, arm()) as writer:
        record(writer, 0)
        writer.begin("long")
        frame = {"observation.state": np.zeros(4), "action": np.zeros(2)}
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
        try:
            with pytest.raises(StorageError, match="limit"):
                for _ in range(10_000):
                    writer.add(frame)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        kept = writer.recorded_frames
        assert 100 < kept < 10_000
        writer.add(frame)
        writer.commit()
    assert validate(tmp_path).ok
    assert writer.num_frames == 3 + kept + 1
