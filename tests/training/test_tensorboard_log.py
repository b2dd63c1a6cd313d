"""TensorBoard reads back what the events say, once for each step, also after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robot_stack.training.event_log import read_events


def test_curves_are_those_of_the_events(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    tiny.run_job(folder, total_steps=8, stop_at=3, tensorboard=True)
    tiny.run_job(folder, total_steps=8, tensorboard=True)
    reader = EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    found = {scalar.step: scalar.value for scalar in reader.Scalars("train/loss")}
    expected = {event["step"]: event["loss"] for event in read_events(folder / "events.jsonl", "train")}
    assert sorted(found) == list(range(1, 9))
    assert found == pytest.approx(expected, rel=1e-6)
    assert {"train/lr", "train/gradient_norm", "train/steps_per_s"} <= set(reader.Tags()["scalars"])
