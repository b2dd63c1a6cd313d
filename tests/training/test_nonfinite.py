"""A loss or gradient that is not finite stops training and the state before it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from robot_stack.core.errors import NonFiniteLossError
from robot_stack.training.checkpoint import read_checkpoint
from robot_stack.training.distributed import Distribution
from robot_stack.training.run import read_status


@pytest.mark.parametrize("nan_at", [1, 7, 10])
def test_nan_stops_and_the_state_before_it_is_kept(tiny, tmp_path: Path, nan_at: int) -> None:
    with pytest.raises(NonFiniteLossError) as caught:
        tiny.run_job(tmp_path / "bad", total_steps=40, log_every=10, nan_at=nan_at)
    text = str(caught.value)
    assert f"step {nan_at};" in text and "rows" in text and "what to do" in text
    assert read_status(tmp_path / "bad")[0] == "crashed"

    kept = read_checkpoint(tmp_path / "bad" / "checkpoints" / f"step-{nan_at - 1:08d}")
    if nan_at == 1:
        good = tiny.build(40, Distribution())
    else:
        good, _ = tiny.run_job(tmp_path / "good", total_steps=40, stop_at=nan_at - 1)
    expected = good.state_dict()
    assert kept.algorithm.plain == expected.plain
    assert kept.batches == {"step": nan_at - 1}
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, kept.algorithm.tensors[name]), name


def test_the_run_goes_on_from_the_kept_state_as_if_nothing_had_been(tiny, tmp_path: Path) -> None:
    straight, _ = tiny.run_job(tmp_path / "straight", total_steps=20)
    with pytest.raises(NonFiniteLossError):
        tiny.run_job(tmp_path / "bad", total_steps=20, log_every=5, nan_at=8)
    healed, result = tiny.run_job(tmp_path / "bad", total_steps=20)
    assert result.resumed_from == 7
    for name, tensor in straight.state_dict().tensors.items():
        assert torch.equal(tensor, healed.state_dict().tensors[name]), name


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_an_infinite_loss_or_gradient_changes_nothing(tiny, poison: str) -> None:
    algorithm = tiny.build(100, Distribution())
    rows = tiny.Rows(16)
    batch = {k: torch.from_numpy(v) for k, v in next(rows).items()}
    for _ in range(3):
        algorithm.update(batch)
    before = {k: v.clone() for k, v in algorithm.state_dict().tensors.items()}
    if poison == "loss":
        bad = {**batch, "y": torch.full_like(batch["y"], 1e30)}  # its square overflows
        metrics = algorithm.update(bad)
    else:
        weight = algorithm.trained.layers[0].weight
        handle = weight.register_hook(lambda gradient: gradient / 0.0)
        metrics = algorithm.update(batch)
        assert metrics["loss"].isfinite()
        handle.remove()
    assert metrics["halted_at"] == 4
    assert algorithm.update(batch)["halted_at"] == 4  # latched: a good batch is refused too
    for name, tensor in algorithm.state_dict().tensors.items():
        assert torch.equal(tensor, before[name]), name
    algorithm.rewind(3)
    assert algorithm.update(batch)["halted_at"] == 0
    assert not torch.equal(before["policy/layers.0.weight"], algorithm.trained.layers[0].weight)


class HostReads(TorchDispatchMode):
    """Counts reads of device numbers by the host: every ``item()``, ``bool()``, ``tolist()`` and printing needs one."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "local_scalar_dense" in str(func) or "aten.equal" in str(func) or "nonzero" in str(func)
        return func(*args, **(kwargs or {}))


def test_no_update_reads_a_number_back_from_the_device(tiny, tmp_path: Path) -> None:
    algorithm = tiny.build(100, Distribution())
    rows = tiny.Rows(16)
    with HostReads() as reads:
        for _ in range(5):
            algorithm.update({k: torch.from_numpy(v) for k, v in next(rows).items()})
        assert reads.count == 0
        algorithm.optimizer.halted_at.item()
        assert reads.count == 1  # the counter counts


def test_the_loop_reads_only_when_it_logs(tiny, tmp_path: Path) -> None:
    counts = []
    for name, steps in (("a", 20), ("b", 40)):
        with HostReads() as reads:
            tiny.run_job(tmp_path / name, total_steps=steps, log_every=20, checkpoint_every=1000)
        counts.append(reads.count)
    one_look = counts[1] - counts[0]
    assert 0 < one_look <= 4
