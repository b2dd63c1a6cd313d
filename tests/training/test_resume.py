"""A run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from robot_stack.algorithms.algorithm import AlgorithmState
from robot_stack.training.checkpoint import CheckpointFolder
from robot_stack.training.event_log import read_events
from robot_stack.training.run import read_status


def assert_same_bits(one: AlgorithmState, other: AlgorithmState) -> None:
    assert one.plain == other.plain
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype, name
        assert torch.equal(tensor.cpu(), other.tensors[name].cpu()), name


def start(job: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(job), str(folder), *arguments], stderr=subprocess.PIPE)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def losses(folder: Path) -> dict[int, float]:
    return {e["step"]: e["loss"] for e in read_events(folder / "events.jsonl", "train")}


def test_twenty_steps_equal_ten_kill_minus_nine_and_ten_more(tiny, tiny_job_path: Path, tmp_path: Path) -> None:
    straight, result = tiny.run_job(tmp_path / "straight", total_steps=20)
    assert (result.step, result.ending, result.resumed_from) == (20, "finished", None)

    broken = tmp_path / "broken"
    process = start(tiny_job_path, broken, "--pause-s", "0.1")
    wait_for(broken / "checkpoints" / "step-00000010", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_status(broken)[0] == "crashed"
    assert not (broken / "checkpoints" / "step-00000020").exists()

    resumed, result = tiny.run_job(broken, total_steps=20)
    assert result.resumed_from == 10
    assert_same_bits(straight.state_dict(), resumed.state_dict())
    assert losses(tmp_path / "straight") == losses(broken)
    assert sorted(losses(broken)) == list(range(1, 21))
    assert read_status(broken) == ("finished", "")


@pytest.mark.parametrize("prefetch", [0, 3])
def test_resume_in_parts_equals_straight(tiny, tmp_path: Path, prefetch: int) -> None:
    straight, _ = tiny.run_job(tmp_path / "straight", total_steps=12, checkpoint_every=5)
    for stop_at in (3, 4, 12):
        parts, _ = tiny.run_job(tmp_path / "parts", total_steps=12, stop_at=stop_at, prefetch=prefetch)
    assert_same_bits(straight.state_dict(), parts.state_dict())


def test_the_job_really_is_random_and_learns(tiny, tmp_path: Path) -> None:
    """Guards the tests above: without dropout or noise the result is another, and the loss falls."""
    full, _ = tiny.run_job(tmp_path / "full", total_steps=60, checkpoint_every=100)
    for number, change in enumerate(({"dropout": 0.0}, {"noise": 0.0})):
        other, _ = tiny.run_job(tmp_path / str(number), total_steps=60, checkpoint_every=100, **change)
        assert not torch.equal(full.trained.layers[0].weight, other.trained.layers[0].weight)
    curve = losses(tmp_path / "full")
    assert sum(curve[s] for s in range(51, 61)) < 0.7 * sum(curve[s] for s in range(1, 11))


def test_training_leaves_the_global_generator_alone(tiny, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    tiny.run_job(tmp_path / "run", total_steps=3)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_after_the_step_with_a_checkpoint(tiny, tiny_job_path: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    process = start(tiny_job_path, folder, "--pause-s", "0.1", "--total-steps", "20000", "--checkpoint-every", "3")
    wait_for(folder / "checkpoints" / "step-00000003", process)
    os.kill(process.pid, getattr(signal, name))
    assert process.wait(60) == 0
    state, reason = read_status(folder)
    assert state == "interrupted"
    assert name in reason and f"robot-stack train --resume {folder}" in reason
    last = read_events(folder / "events.jsonl", "checkpoint")[-1]["step"]
    assert (folder / "checkpoints" / "latest").read_text().strip() == f"step-{last:08d}"
    assert last == max(losses(folder))
    _, result = tiny.run_job(folder, total_steps=20_000, stop_at=last + 2)
    assert (result.resumed_from, result.step) == (last, last + 2)


def test_finished_runs_do_nothing_more(tiny, tmp_path: Path) -> None:
    first, _ = tiny.run_job(tmp_path / "run", total_steps=4)
    again, result = tiny.run_job(tmp_path / "run", total_steps=4)
    assert (result.resumed_from, result.step) == (4, 4)
    assert_same_bits(first.state_dict(), again.state_dict())


@pytest.mark.slow
def test_twenty_random_kills_cost_nothing_but_time(tiny, tiny_job_path: Path, tmp_path: Path) -> None:
    """Saving at every step, killed at random instants: the last checkpoint is always whole and the end the same."""
    straight, _ = tiny.run_job(tmp_path / "straight", total_steps=4000, checkpoint_every=1000)
    generator = random.Random(4)
    folder, reached = tmp_path / "run", 0
    for _ in range(20):
        process = start(tiny_job_path, folder, "--total-steps", "4000", "--checkpoint-every", "1")
        wait_for(folder / "checkpoints" / "latest", process)
        time.sleep(generator.uniform(2.0, 6.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        warnings: list[str] = []
        found = CheckpointFolder(folder / "checkpoints").load_latest(warnings.append)
        assert found is not None and found.step >= reached and not warnings
        reached = found.step
    assert reached > 20
    resumed, _ = tiny.run_job(folder, total_steps=4000, checkpoint_every=1000)
    assert_same_bits(straight.state_dict(), resumed.state_dict())
    assert losses(tmp_path / "straight") == losses(folder)
