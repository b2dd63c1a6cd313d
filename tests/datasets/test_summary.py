"""A dataset in numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import DatasetError
from robot_stack.core.fields import Field
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.summary import summarize
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.hand_written import write_dataset

ROBOT = Embodiment("test/arm", (Field("hand", 2, "m"),), (Field("target", 2, "m"),), (), 20.0)
LEROBOT = Path(__file__).resolve().parents[1] / "data" / "lerobot_v3"


def record(root: Path, rates: list[float]) -> Path:
    with DatasetWriter(root, ROBOT) as writer:
        for i, hz in enumerate(rates):
            n = 10 + i
            success = np.arange(n) == n - 1 if i else np.zeros(n, dtype=bool)
            columns = {
                "observation.state": np.zeros((n, 2)),
                "action": np.zeros((n, 2)),
                "observation.time": 100.0 + np.arange(n) / hz,
                "next.success": success,
            }
            facts = {"driver": "person" if i == 2 else "expert"}
            task = "push" if i < 2 else "pull"
            writer.write_episode(EpisodeBuffer(ROBOT, task, facts, columns=columns))
    return root


def test_counts_and_outcomes(tmp_path: Path) -> None:
    found = summarize(record(tmp_path / "set", [20.0, 20.0, 20.0]))
    assert (found.episodes, found.frames, found.fps, found.embodiment) == (3, 33, 20.0, "test/arm")
    assert (found.shortest, found.median, found.longest) == (10, 11.0, 12)
    assert found.hours == pytest.approx(33 / 20 / 3600)
    assert (found.succeeded, found.judged, found.success_rate) == (2, 3, pytest.approx(2 / 3))
    tasks = [(task.instruction, task.episodes, task.succeeded, task.judged) for task in found.tasks]
    assert tasks == [("push", 2, 1, 2), ("pull", 1, 1, 1)]
    assert found.drivers == {"expert": 2, "person": 1}
    on_disk = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*") if path.is_file())
    assert sum(found.bytes.values()) == on_disk
    assert {f.name for f in found.features} >= {"action", "observation.state", "timestamp"}


def test_the_measured_rate_is_that_of_the_clock(tmp_path: Path) -> None:
    found = summarize(record(tmp_path / "set", [16.0, 16.0, 16.0]))
    assert found.rate is not None
    assert found.rate.measured_hz == pytest.approx(16.0)
    assert found.rate.ratio == pytest.approx(0.8)
    assert found.rate.worst_gap_s == pytest.approx(1 / 16)


def test_gaps_between_episodes_do_not_count(tmp_path: Path) -> None:
    found = summarize(record(tmp_path / "set", [20.0, 20.0, 10.0]))
    assert found.rate is not None
    assert found.rate.measured_hz == pytest.approx(20.0)
    assert found.rate.worst_gap_s == pytest.approx(0.1)


def test_a_dataset_of_lerobot_says_what_it_can() -> None:
    found = summarize(LEROBOT)
    assert (found.episodes, found.frames) == (3, 26)
    assert found.rate is None
    assert found.success_rate is None
    assert found.drivers == {"not noted": 3}


def test_an_empty_dataset(tmp_path: Path) -> None:
    DatasetWriter(tmp_path / "set", ROBOT).close()
    found = summarize(tmp_path / "set")
    assert (found.episodes, found.frames, found.success_rate, found.rate) == (0, 0, None, None)


@pytest.mark.parametrize("text", ["{", "[1]", '"text"'])
def test_provenance_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    root = write_dataset(tmp_path / "set", [3, 3])
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path).append_column("provenance", pa.array([json.dumps({}), text]))
    pq.write_table(table, path)
    with pytest.raises(DatasetError, match="episode 1"):
        summarize(root)
