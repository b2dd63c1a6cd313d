"""``robot-stack trials report``: what an unblinded study found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_stack.cli.parsing import Maybe, parse


@dataclass(frozen=True)
class ReportArgs:
    """Write the report of an unblinded study, as a page and as JSON."""

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    out: Maybe[Path] = None
    """Where the report goes; the store when left out."""


def run(arguments: list[str]) -> int:
    """Analyse, and write."""
    args = parse(ReportArgs, arguments, "robot-stack trials report")
    from robot_stack.evaluation.trials.analyse import analyse
    from robot_stack.evaluation.trials.report import headline, write_trial_report

    found = analyse(args.store)
    page, data = write_trial_report(found, args.out or args.store)
    print(headline(found))
    for arm in found.arms:
        print(f"  {arm.letters:<4} {arm.name}: {arm.success}")
    print(page)
    print(data)
    return 0 if all(check.ok for check in found.checks) else 1
