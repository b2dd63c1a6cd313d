"""``robot-stack trials unblind``: open the key."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robot_stack.cli.parsing import parse


@dataclass(frozen=True)
class UnblindArgs:
    """Open the sealed key when the trials are over, and check it against the commitment. Ends the study for good."""

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    by: str = field(default_factory=getpass.getuser)
    """Who opens it."""

    early: str = ""
    """Open it before the trials are over, for this reason; the report will show it."""


def run(arguments: list[str]) -> int:
    """Open it."""
    args = parse(UnblindArgs, arguments, "robot-stack trials unblind")
    from robot_stack.evaluation.trials.store import TrialStore
    from robot_stack.evaluation.trials.unblind import OPENED, unblind

    with TrialStore(args.store) as store:
        key = unblind(store, args.by, args.early)
    print(f"the key matches the commitment {key.commitment()}")
    print(f"opened into {args.store / OPENED}; next: robot-stack trials report {args.store}")
    return 0
