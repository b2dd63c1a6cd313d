"""The message definitions that ship with robot_stack: plain .msg and .action text, one folder a ROS package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from robot_stack.core.errors import require_name

FOLDER = Path(__file__).parent / "assets"
"""One folder for each package, laid out as ROS lays out interface packages."""

ACTION_NEEDS = ("action_msgs", "builtin_interfaces", "service_msgs", "unique_identifier_msgs")
"""Packages whose types every action carries besides its own."""

_FOREIGN = re.compile(r"^\s*([a-z][a-z0-9_]*)/\w+", re.MULTILINE)


@dataclass(frozen=True)
class Definitions:
    """The interfaces of one ROS package."""

    package: str
    """Name of the ROS package."""

    texts: tuple[tuple[str, str], ...]
    """Path inside the package, as ``"msg/LowCmd.msg"``, and text of every definition, sorted by path."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Other ROS packages whose types appear in these."""
        found = {name for _, text in self.texts for name in _FOREIGN.findall(text)}
        if any(path.endswith(".action") for path, _ in self.texts):
            found.update(ACTION_NEEDS)
        return tuple(sorted(found - {self.package}))


def packages() -> tuple[str, ...]:
    """Names of the packages that are defined here."""
    return tuple(sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))


def definitions(package: str) -> Definitions:
    """The definitions of one package.

    Raises:
        UnknownNameError: if it is not one of :func:`packages`.
    """
    folder = FOLDER / require_name("message package", package, packages())
    files = sorted(f for f in folder.rglob("*") if f.suffix in (".msg", ".srv", ".action"))
    return Definitions(package, tuple((f.relative_to(folder).as_posix(), f.read_text("utf-8")) for f in files))
