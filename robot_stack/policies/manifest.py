"""The list of a bundle's files with their sizes and hashes, and the check that they are as they were written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from robot_stack.core.config_json import fingerprint_of
from robot_stack.core.errors import BundleError

MANIFEST = "manifest.json"
FORMAT = "robot_stack policy bundle"
SCHEMA_VERSION = 1
BEHAVIOR_FILES = ("config.json", "weights.safetensors", "normalizer.json", "embodiment.json")
"""What decides how a policy acts."""
FILES = (*BEHAVIOR_FILES, "provenance.json", "metrics.json", "golden.safetensors", "MODEL_CARD.md")
"""Every file of a bundle but the manifest."""
REMEDY = "copy the bundle again from where it was made, or export it again from its training run"


def describe_files(folder: Path) -> dict[str, Any]:
    """The manifest of a folder in which all :data:`FILES` have been written."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in FILES}
    body = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "policy_sha256": fingerprint_of([[name, files[name]["sha256"]] for name in BEHAVIOR_FILES]),
        "files": files,
    }
    return {**body, "manifest_sha256": fingerprint_of(body)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, checked to be as it was written.

    Raises:
        BundleError: if there is no bundle, the manifest is damaged, or its format is newer than this version reads.
    """
    if not folder.is_dir():
        raise BundleError(
            "there is no policy bundle here", where=folder, got="no such folder", remedy="give the folder of a bundle"
        )
    manifest = read_json(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise damaged(folder / MANIFEST, f"format {manifest.get('format')!r}", repr(FORMAT))
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            "the bundle has another schema version",
            where=folder / MANIFEST,
            got=manifest.get("schema_version"),
            expected=SCHEMA_VERSION,
            remedy="load it with the version of robot_stack that wrote it (provenance.json tells)",
        )
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    if fingerprint_of(body) != manifest.get("manifest_sha256") or set(manifest["files"]) != set(FILES):
        raise damaged(
            folder / MANIFEST, "a manifest that disagrees with its own hash", "the manifest as it was written"
        )
    return manifest


def check_files(folder: Path) -> dict[str, Any]:
    """Check every file of a bundle against its manifest, and return the manifest.

    Raises:
        BundleError: naming the first file that is missing, cut short or altered.
    """
    manifest = read_manifest(folder)
    for name, wanted in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise damaged(path, "no such file", f"{wanted['bytes']} bytes")
        size = path.stat().st_size
        if size != wanted["bytes"]:
            raise damaged(path, f"{size} bytes", f"{wanted['bytes']} bytes")
        digest = sha256_of(path)
        if digest != wanted["sha256"]:
            raise damaged(path, f"content with SHA-256 {digest}", f"content with SHA-256 {wanted['sha256']}")
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a bundle.

    Raises:
        BundleError: if it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise damaged(path, "no such file", "a file of a policy bundle") from error
    except (OSError, ValueError) as error:
        raise damaged(path, str(error), "JSON") from error
    if not isinstance(value, dict):
        raise damaged(path, type(value).__name__, "a JSON object")
    return value


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def damaged(path: Path, got: str, expected: str | None = None) -> BundleError:
    """The error for a file that is not as it was written."""
    return BundleError(
        f"the file {path.name} of a policy bundle is missing, cut short or altered",
        where=path,
        got=got,
        expected=expected,
        remedy=REMEDY,
    )
