"""Policy bundles on disk: what a policy is, where it came from and how good it was, in safetensors and JSON.

A bundle is a folder::

    config.json          kind and whole configuration of the policy, instructions of its tasks
    weights.safetensors  the weights that act (averaged)
    normalizer.json      between physical units and the network, per source
    embodiment.json      the robot it was trained for, with its fingerprint
    provenance.json      data hashes, code revision, seeds, versions
    metrics.json         how well it did when it was exported
    golden.safetensors   a batch of observations, noise, and the actions they must give; checked on loading
    MODEL_CARD.md        all that for people
    manifest.json        size and SHA-256 of every file

This module reads and writes the files and needs no torch; :mod:`robot_stack.policies.saving` and
:mod:`robot_stack.policies.loading` turn policies into files and back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from robot_stack.core.atomic import fsync_folder, storage_errors
from robot_stack.core.errors import BundleError
from robot_stack.policies.manifest import (
    FILES,
    MANIFEST,
    check_files,
    damaged,
    describe_files,
    read_json,
    read_manifest,
)


@contextlib.contextmanager
def new_bundle(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes the bundle ``path``, durably, when the block ends well.

    Args:
        path: of the bundle.
        overwrite: replace a bundle that is there; it is moved aside first and removed last.

    Raises:
        BundleError: if something is there already, or the block left out a file.
        StorageError: if the file system refuses; ``path`` is then as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    aside = target.with_name(f".{target.name}.{os.getpid()}.old")
    with storage_errors(target):
        _check_target(target, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            missing = [name for name in FILES if not (temporary / name).is_file()]
            if missing:
                raise BundleError("a bundle was left incomplete", where=target, got=f"no {', '.join(missing)}")
            write_json(temporary / MANIFEST, describe_files(temporary))
            for name in (*FILES, MANIFEST):
                _fsync(temporary / name)
            fsync_folder(temporary)
            if target.exists():
                target.rename(aside)
            temporary.rename(target)
            fsync_folder(target.parent)
        finally:
            if aside.exists() and not target.exists():
                aside.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON into a bundle that is being made.

    Raises:
        BundleError: if ``value`` cannot be JSON.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError("a bundle holds plain JSON data only", where=path, got=str(error)) from error
    path.write_text(text + "\n", encoding="utf-8")


def bundle_hash(path: str | Path) -> str:
    """Content hash of what decides how a policy acts: configuration, weights, normaliser and embodiment.

    Two bundles with one hash act alike; metrics, provenance and model card do not count. It is taken from the
    manifest; :func:`bundle_info` and loading check it against the files.

    Returns:
        64 hexadecimal digits.

    Raises:
        BundleError: if there is no bundle or its manifest is damaged.
    """
    return read_manifest(Path(path))["policy_sha256"]


def bundle_info(path: str | Path, *, verify: bool = True) -> dict[str, Any]:
    """What a bundle says about itself, as plain data and without importing torch.

    Args:
        path: the bundle.
        verify: check size and hash of every file.

    Returns:
        ``path``, ``policy_sha256``, ``kind``, ``config``, ``tasks``, ``normalizer_sources``, ``embodiment``,
        ``embodiment_fingerprint``, ``provenance``, ``metrics``, ``parameters`` (how many numbers the weights hold),
        ``weights`` (shape and type of each tensor), ``bytes`` and ``verified``.

    Raises:
        BundleError: if a file is missing or damaged.
    """
    folder = Path(path)
    manifest = check_files(folder) if verify else read_manifest(folder)
    config = read_json(folder / "config.json")
    embodiment = read_json(folder / "embodiment.json")
    normalizer = read_json(folder / "normalizer.json")
    weights = tensor_shapes(folder / "weights.safetensors")
    return {
        "path": str(folder),
        "policy_sha256": manifest["policy_sha256"],
        "kind": config["policy"]["kind"],
        "config": config["policy"],
        "tasks": config["tasks"],
        "normalizer_sources": [source["source"] for source in normalizer["sources"]],
        "embodiment": embodiment["embodiment"],
        "embodiment_fingerprint": embodiment["fingerprint"],
        "provenance": read_json(folder / "provenance.json"),
        "metrics": read_json(folder / "metrics.json"),
        "parameters": sum(_product(entry["shape"]) for entry in weights.values()),
        "weights": weights,
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        "verified": verify,
    }


def tensor_shapes(path: Path) -> dict[str, dict[str, Any]]:
    """Shape and type of every tensor in a safetensors file, read from its header.

    Raises:
        BundleError: if it is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return {name: {"shape": list(s.get_shape()), "dtype": s.get_dtype()} for name, s in slices.items()}
    except (SafetensorError, OSError) as error:
        raise damaged(path, str(error), "a safetensors file") from error


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise BundleError(
            "there is something at this place already", where=target, remedy="choose another path, or overwrite it"
        )
    if not (target / MANIFEST).is_file():
        raise BundleError(
            "what is at this place is no policy bundle, and is not overwritten",
            where=target,
            got=f"no {MANIFEST} in it",
            remedy="choose another path",
        )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _product(shape: list[int]) -> int:
    out = 1
    for size in shape:
        out *= size
    return out
