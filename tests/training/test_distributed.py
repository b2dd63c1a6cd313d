"""Two processes under torchrun learn what one learns from the joined batches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from robot_stack.core.errors import ConfigError
from robot_stack.training.checkpoint import read_checkpoint
from robot_stack.training.distributed import Distribution, open_distribution
from robot_stack.training.event_log import read_events
from robot_stack.training.run import read_status


def torchrun(job: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(job)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder.parent)}
    return subprocess.Popen([*command, str(folder), *arguments], stderr=subprocess.PIPE, env=environment)


def finish(process: subprocess.Popen[bytes]) -> str:
    _, error = process.communicate(timeout=240)
    return error.decode()


def losses(folder: Path) -> list[float]:
    return [e["loss"] for e in read_events(folder / "events.jsonl", "train")]


def test_two_processes_equal_one_with_the_double_batch_and_resume_alone(
    tiny, tiny_job_path: Path, tmp_path: Path
) -> None:
    alone, _ = tiny.run_job(tmp_path / "alone", total_steps=12, batch_size=16, dropout=0.0, noise=0.0)
    quiet = ("--dropout", "0", "--noise", "0", "--batch-size", "8", "--total-steps", "12", "--checkpoint-every", "6")
    process = torchrun(tiny_job_path, tmp_path / "two", *quiet)
    error = finish(process)
    assert process.returncode == 0, error

    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "alone"), rel=1e-5)
    kept = read_checkpoint(tmp_path / "two" / "checkpoints" / "step-00000012").algorithm
    for name, tensor in alone.state_dict().tensors.items():
        torch.testing.assert_close(kept.tensors[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    assert read_status(tmp_path / "two")[0] == "finished"
    steps = [e["step"] for e in read_events(tmp_path / "two" / "events.jsonl", "train")]
    assert steps == list(range(1, 13))  # one rank writes

    # A checkpoint knows nothing of the number of processes: one process goes on with what two began.
    _, result = tiny.run_job(tmp_path / "two", total_steps=14, batch_size=16, dropout=0.0, noise=0.0)
    assert (result.resumed_from, result.step) == (12, 14)


def test_two_processes_draw_different_noise_resume_and_stop_together(tiny_job_path: Path, tmp_path: Path) -> None:
    """Killed or not, two processes give the same bits; a NaN on one stops both at that step."""
    arguments = ("--total-steps", "10", "--checkpoint-every", "5")
    straight = torchrun(tiny_job_path, tmp_path / "straight", *arguments)
    error = finish(straight)
    assert straight.returncode == 0, error

    broken = torchrun(tiny_job_path, tmp_path / "broken", *arguments, "--nan-at", "8", "--log-every", "5")
    error = finish(broken)
    assert broken.returncode != 0
    assert error.count("NonFiniteLossError: the loss or its gradient was not finite at step 8") == 2, error
    assert (tmp_path / "broken" / "checkpoints" / "latest").read_text() == "step-00000007\n"
    healed = torchrun(tiny_job_path, tmp_path / "broken", *arguments)
    error = finish(healed)
    assert healed.returncode == 0, error
    one, two = (
        read_checkpoint(tmp_path / name / "checkpoints" / "step-00000010").algorithm for name in ("straight", "broken")
    )
    assert one.plain == two.plain
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, two.tensors[name]), name


@pytest.mark.slow
def test_an_interrupted_torchrun_stops_all_ranks_at_one_step(tiny_job_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = torchrun(tiny_job_path, folder, "--total-steps", "100000", "--pause-s", "0.05", "--log-every", "2")
    status = folder / "checkpoints" / "latest"
    end = time.monotonic() + 120
    while not status.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    finish(process)
    assert read_status(folder)[0] == "interrupted"
    last = read_events(folder / "events.jsonl", "checkpoint")[-1]["step"]
    assert read_checkpoint(folder / "checkpoints" / f"step-{last:08d}").step == last


def test_alone_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_distribution("cpu") as distribution:
        assert distribution == Distribution()
        assert distribution.is_main and distribution.is_alone
        assert distribution.any(True) and not distribution.any(False)
        module = torch.nn.Linear(1, 1)
        assert distribution.wrap(module) is module


def test_bad_devices_and_environments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot be used"), open_distribution("qpu"):
        pass
    with pytest.raises(ConfigError, match="cannot be used"), open_distribution("cuda:77"):
        pass
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ConfigError, match="torchrun"), open_distribution("cpu"):
        pass
