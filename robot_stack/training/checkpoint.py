"""Checkpoints: safetensors and JSON, there whole or not at all, checked by hash when read.

One checkpoint is a folder ``step-00001000/`` with ``tensors.safetensors`` (weights, moments, averages), ``state.json``
(counters, sampler cursor) and ``manifest.json`` (size and SHA-256 of both). It is written under a temporary name, made
durable and renamed; then the file ``latest`` is pointed at it. Killing the process at any instant leaves the last one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from robot_stack.algorithms.algorithm import AlgorithmState
from robot_stack.core.atomic import fsync_folder, storage_errors, write_text
from robot_stack.core.errors import CheckpointError

_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds."""

    step: int
    """Updates done."""

    algorithm: AlgorithmState
    """The algorithm's, on the CPU."""

    batches: dict[str, Any]
    """State of the batch source: JSON values."""

    info: dict[str, Any]
    """Anything else worth knowing: JSON values."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``folder/step-…`` atomically and durably; return its path.

    Raises:
        StorageError: if the file system refuses; earlier checkpoints are then as they were.
    """
    target = folder / f"step-{checkpoint.step:08d}"
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    with storage_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            _write_tensors(temporary / _TENSORS, checkpoint.algorithm.tensors)
            plain = {
                "format": _FORMAT,
                "step": checkpoint.step,
                "algorithm": checkpoint.algorithm.plain,
                "batches": checkpoint.batches,
                "info": checkpoint.info,
            }
            write_text(temporary / _STATE, json.dumps(plain, indent=1, allow_nan=False))
            manifest = {name: _describe(temporary / name) for name in (_TENSORS, _STATE)}
            write_text(temporary / _MANIFEST, json.dumps(manifest, indent=1))
            if target.exists():
                shutil.rmtree(target)
            temporary.rename(target)
            fsync_folder(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint folder.

    Raises:
        CheckpointError: if a file is missing, cut short or altered; it names the file and the way out.
    """
    manifest = _read_json(path / _MANIFEST)
    for name in (_TENSORS, _STATE):
        _check(path / name, manifest.get(name))
    plain = _read_json(path / _STATE)
    if plain.get("format") != _FORMAT:
        raise CheckpointError(
            "the checkpoint has another format",
            where=path / _STATE,
            got=plain.get("format"),
            expected=_FORMAT,
            remedy="resume with the version of robot_stack that wrote it",
        )
    try:
        tensors = load_file(path / _TENSORS)
    except (SafetensorError, OSError) as error:
        raise _damaged(path / _TENSORS, str(error)) from error
    return Checkpoint(plain["step"], AlgorithmState(tensors, plain["algorithm"]), plain["batches"], plain["info"])


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        folder: where they lie; need not exist yet.
        keep: how many of the newest to keep.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = max(1, keep)

    def paths(self) -> list[Path]:
        """All checkpoints, the one that ``latest`` names first, then newest first."""
        found = sorted((p for p in self.folder.glob("step-*") if p.is_dir()), reverse=True)
        pointer = self.folder / "latest"
        name = pointer.read_text().strip() if pointer.is_file() else ""
        return sorted(found, key=lambda p: p.name != name)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, point ``latest`` at it, and remove the oldest beyond ``keep``."""
        path = write_checkpoint(self.folder, checkpoint)
        write_text(self.folder / "latest", path.name + "\n")
        others = sorted((p for p in self.folder.glob("step-*") if p.is_dir() and p != path), reverse=True)
        for old in others[self.keep - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def load_latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole; ``None`` when there never was one.

        Args:
            warn: told about each damaged one that was passed over.

        Raises:
            CheckpointError: if there are checkpoints and every one is damaged.
        """
        errors: list[CheckpointError] = []
        for path in self.paths():
            try:
                return read_checkpoint(path)
            except CheckpointError as error:
                warn(f"{path.name} is damaged and was passed over: {error.message} ({error.where})")
                errors.append(error)
        if errors:
            raise CheckpointError(
                "every checkpoint of this run is damaged",
                where=errors[0].where,
                got=errors[0].message,
                remedy="start the training anew in another run folder, or restore a checkpoint from a copy",
            ) from errors[0]
        return None


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    whole: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        key = own.untyped_storage().data_ptr()
        partial = own.untyped_storage().nbytes() != own.nbytes
        whole[name] = own.clone() if key in seen or partial else own
        seen.add(key)
    save_file(whole, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _check(path: Path, expected: dict[str, Any] | None) -> None:
    if expected is None:
        raise _damaged(path.parent / _MANIFEST, f"no entry for {path.name}")
    if not path.is_file():
        raise _damaged(path, "no such file")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise _damaged(path, f"{size} bytes", f"{expected['bytes']} bytes")
    if _describe(path)["sha256"] != expected["sha256"]:
        raise _damaged(path, "other content than was written", f"SHA-256 {expected['sha256']}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, type(value).__name__, "a mapping")
    return value


def _damaged(path: Path, got: str, expected: str | None = None) -> CheckpointError:
    return CheckpointError(
        "a checkpoint file is missing, cut short or altered",
        where=path,
        got=got,
        expected=expected,
        remedy=f"remove {path.parent} and resume: the run goes on from the checkpoint before it",
    )
