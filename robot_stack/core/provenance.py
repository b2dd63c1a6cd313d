"""Where a result came from: code revision, library versions, machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
import time
from pathlib import Path

from robot_stack import __version__

_LIBRARIES = (
    "numpy",
    "torch",
    "mujoco",
    "metaworld",
    "dm-control",
    "gymnasium",
    "pyarrow",
    "av",
    "diffusers",
)


def code_revision() -> dict[str, str]:
    """Git commit of the checkout the package runs from, and a hash of uncommitted changes; empty outside a checkout."""
    folder = Path(__file__).resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _git(folder, "diff", "HEAD")
    out = {"commit": commit}
    if changes:
        out["uncommitted_sha256"] = hashlib.sha256(changes.encode()).hexdigest()[:16]
    return out


def collect() -> dict[str, object]:
    """Everything above as plain data: version, revision, libraries, Python, machine class, time (UTC)."""
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "robot_stack": __version__,
        "code": code_revision(),
        "libraries": libraries,
        "python": sys.version.split()[0],
        "machine": f"{platform.system()} {platform.machine()}",
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
