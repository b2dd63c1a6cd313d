"""``robot-stack data merge``: several datasets become one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_stack.cli.bars import bars
from robot_stack.cli.parsing import Many, parse


@dataclass(frozen=True)
class MergeConfig:
    """Write one dataset with every episode of several, in order. Numbers keep their bits, videos are not re-encoded."""

    datasets: Positional[Many[Path]]
    """Folders of two datasets or more, of one robot."""

    out: Path
    """The new folder; it appears when all is written."""


def run(arguments: list[str]) -> int:
    """Merge and print the new folder."""
    config = parse(MergeConfig, arguments, "robot-stack data merge")
    from robot_stack.datasets.merge import merge

    with bars() as shown:
        bar = shown.add_task("episodes", total=None, note="")
        out = merge(
            list(config.datasets),
            config.out,
            progress=lambda done, total: shown.update(bar, completed=done, total=total),
        )
    print(out)
    return 0
