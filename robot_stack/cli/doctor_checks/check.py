"""What a check found, and what every check is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["works", "warning", "broken"]


@dataclass(frozen=True)
class Check:
    """What was found out about one thing."""

    name: str
    """What was looked at, in a few words."""

    status: Status
    """``"warning"``: something optional is missing or slow; ``"broken"``: something needed does not work."""

    found: str
    """What was found, in one sentence."""

    remedy: str = ""
    """The way out; empty when it works."""

    details: dict[str, Any] = field(default_factory=dict)
    """Measured numbers and names, for ``--json``."""


@dataclass(frozen=True)
class Ground:
    """What the checks are made on."""

    folder: Path
    """Where data will be written."""

    bundles: tuple[Path, ...]
    """Policy bundles to load."""

    timeout_s: float
    """A check that takes longer has failed [s]."""


Checker = Callable[[Ground], list[Check]]
"""Looks at one thing, which may have several parts."""
