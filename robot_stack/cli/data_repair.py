"""``robot-stack data repair``: brings a dataset back in order after an interruption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_stack.cli.parsing import parse

REPAIRED = 0
PROBLEMS_LEFT = 1


@dataclass(frozen=True)
class RepairConfig:
    """Bring back the episode that was being recorded, clear away what no episode needs, compute statistics again."""

    dataset: Positional[Path]
    """Folder of the dataset; nobody may be writing it."""


def run(arguments: list[str]) -> int:
    """Repair and tell what was done; 1 when something could not be repaired."""
    config = parse(RepairConfig, arguments, "robot-stack data repair")
    from robot_stack.datasets.repair import repair

    report = repair(config.dataset)
    if report.recovered:
        numbers = ", ".join(map(str, report.recovered))
        print(f"brought back {report.recovered_frames} frames as episode {numbers}; how it ended is unknown")
    for word, paths in (("removed", report.removed), ("written anew", report.rebuilt)):
        for path in paths:
            print(f"{word}: {path}")
    for problem in report.problems:
        print(f"not repaired: {problem}")
    print(f"{report.episodes} episodes" + ("" if report.changed or report.problems else "; nothing had to be done"))
    return PROBLEMS_LEFT if report.problems else REPAIRED
