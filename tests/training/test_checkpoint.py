"""Checkpoints are whole or refused by name, and a damaged one costs only the steps since the one before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from robot_stack.algorithms.algorithm import AlgorithmState
from robot_stack.core import atomic
from robot_stack.core.errors import CheckpointError, StorageError
from robot_stack.training.checkpoint import Checkpoint, CheckpointFolder, read_checkpoint, write_checkpoint


def example(step: int = 3) -> Checkpoint:
    shared = torch.arange(6.0)
    tensors = {
        "a/weight": torch.randn(4, 3, generator=torch.Generator().manual_seed(step)),
        "a/transposed": torch.arange(6).reshape(2, 3).t(),
        "a/half": torch.tensor([1.5, -0.0, float("inf")], dtype=torch.bfloat16),
        "scalar": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "shared/one": shared,
        "shared/two": shared,
        "part": shared[2:4],
        "empty": torch.zeros(0, 2),
    }
    return Checkpoint(step, AlgorithmState(tensors, {"step": step}), {"cursor": [1, 2]}, {"note": "ä"})


def test_round_trip(tmp_path: Path) -> None:
    expected = example()
    found = read_checkpoint(write_checkpoint(tmp_path, expected))
    assert (found.step, found.batches, found.info) == (3, {"cursor": [1, 2]}, {"note": "ä"})
    assert found.algorithm.plain == {"step": 3}
    assert found.algorithm.tensors.keys() == expected.algorithm.tensors.keys()
    for name, tensor in expected.algorithm.tensors.items():
        assert found.algorithm.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.algorithm.tensors[name], tensor)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_damage_is_named_with_a_way_out(tmp_path: Path, name: str, damage: str) -> None:
    path = write_checkpoint(tmp_path, example())
    file = path / name
    data = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 0x10
        file.write_bytes(data)
    elif damage == "remove":
        file.unlink()
    else:
        file.write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert str(path) in text and "what to do" in text
    if damage != "flip" or name != "manifest.json":
        assert name in text


def test_latest_falls_back_to_the_one_before(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    assert folder.load_latest(pytest.fail) is None
    for step in (1, 2, 3):
        folder.save(example(step))
    file = tmp_path / "step-00000003" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    warnings: list[str] = []
    found = folder.load_latest(warnings.append)
    assert found is not None and found.step == 2
    assert len(warnings) == 1 and "step-00000003" in warnings[0] and "tensors.safetensors" in warnings[0]
    for step in (1, 2):
        (tmp_path / f"step-{step:08d}" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="every checkpoint"):
        folder.load_latest(warnings.append)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 6):
        folder.save(example(step))
    assert [p.name for p in folder.paths()] == ["step-00000005", "step-00000004"]
    assert (tmp_path / "latest").read_text() == "step-00000005\n"


def test_the_pointer_wins_over_a_folder_of_later_date(tmp_path: Path) -> None:
    """After a run was rewound, the newest checkpoint is not the one with the largest step."""
    folder = CheckpointFolder(tmp_path)
    folder.save(example(9))
    folder.save(example(4))
    found = folder.load_latest(pytest.fail)
    assert found is not None and found.step == 4


def test_an_interrupted_write_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(example(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robot_stack.training.checkpoint._write_tensors", full)
    with pytest.raises(StorageError, match="free disk space"):
        folder.save(example(2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "step-00000001"]
    found = folder.load_latest(pytest.fail)
    assert found is not None and found.step == 1


def test_rubbish_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(example(1))
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".step-00000002.77.tmp")
    (tmp_path / "step-00000005").mkdir()
    atomic.write_text(tmp_path / "latest", "step-00000009\n")
    warnings: list[str] = []
    found = folder.load_latest(warnings.append)
    assert found is not None and found.step == 1
    assert len(warnings) == 1


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, example())
    state = json.loads((path / "state.json").read_text())
    state["format"] = 99
    (path / "state.json").write_text(json.dumps(state))
    manifest = json.loads((path / "manifest.json").read_text())
    from hashlib import sha256

    data = (path / "state.json").read_bytes()
    manifest["state.json"] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="another format"):
        read_checkpoint(path)
