"""Where ROS 2 is installed: a distribution's own folders, or the environment of Python that has its wheels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from robot_stack.core.errors import MissingExtraError


def ros_prefixes() -> tuple[Path, ...]:
    """Folders with ``share/``, ``lib/`` and ``include/`` of ROS 2, first come first; wheels live in ``sys.prefix``."""
    named = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return tuple(p for p in dict.fromkeys([*named, Path(sys.prefix)]) if (p / "share").is_dir())


def share_of(package: str, prefixes: Iterable[Path] | None = None) -> Path:
    """The share folder of an installed ROS package.

    Raises:
        MissingExtraError: if no prefix has it.
    """
    for prefix in ros_prefixes() if prefixes is None else prefixes:
        if (folder := prefix / "share" / package).is_dir():
            return folder
    raise MissingExtraError("generating ROS messages", extra="ros", package=package)


def include_folders(prefixes: Iterable[Path]) -> list[Path]:
    """Folders to search for headers: ``include/`` and, as newer releases lay it out, ``include/<package>/``."""
    found: list[Path] = []
    for include in (prefix / "include" for prefix in prefixes):
        if include.is_dir():
            found += [*sorted(p for p in include.iterdir() if (p / p.name).is_dir()), include]
    return found
