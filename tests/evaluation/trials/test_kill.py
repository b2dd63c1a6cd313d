from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from robot_stack.evaluation.trials.store import read_store
from robot_stack.evaluation.trials.verify import verify_store
from tests.evaluation.trials.studies import make_plan, make_store

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_no_acknowledged_label_is_lost_however_the_server_is_killed(tmp_path: Path, kills: int) -> None:
    root = make_store(tmp_path / "study", make_plan(arms=3, n_max=1000, conditions=make_plan().conditions))
    code = [sys.executable, "-m", "tests.evaluation.trials.kill_loop", str(root), str(kills), "3"]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    killed, labels = (int(word) for word in done.stdout.split() if word.isdigit())
    assert killed == kills and labels >= kills
    assert all(check.ok for check in verify_store(root))
    trials = read_store(root).state.trials.values()
    assert sum(t.phase == "labelled" for t in trials) >= labels
    assert len({(t.block, t.place) for t in trials if t.phase == "labelled"}) == sum(
        t.phase == "labelled" for t in trials
    ), "no place was labelled twice"
