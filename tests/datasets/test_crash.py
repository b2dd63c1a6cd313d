"""kill -9 at any instant loses at most the episode being recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_loop(folder: Path, *arguments: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.datasets.crash_loop", str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_hundred_kills_at_random_instants(tmp_path: Path):
    told = run_loop(tmp_path, "random", "100", "7")
    assert told["kills"] == 100
    assert told["repairs_killed"] > 10 and told["committed"] > 50, told


@pytest.mark.parametrize(("mode", "stride"), [("steps", 13), ("steps-camera", 17)])
def test_kills_before_single_changes_of_the_file_system(tmp_path: Path, mode: str, stride: int):
    told = run_loop(tmp_path, mode, str(stride))
    assert told["kills"] > 8 and told["repairs_killed"] > 0, told


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", ["steps", "steps-camera"])
def test_a_kill_before_every_single_change_of_the_file_system(tmp_path: Path, mode: str):
    told = run_loop(tmp_path, mode, "1")
    assert told["kills"] > 100 and told["repairs_killed"] > 10, told
