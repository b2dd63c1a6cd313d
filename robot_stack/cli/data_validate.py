"""``robot-stack data validate``: is every file and row of a dataset as it should be?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_stack.cli.parsing import parse

if TYPE_CHECKING:
    from robot_stack.datasets.validate import Validation

SOUND = 0
UNSOUND = 1

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class ValidateConfig:
    """Check every file, row, statistic and video of a dataset; exit code 1 when something is wrong."""

    dataset: Positional[Path]
    """Folder of the dataset."""

    quick: bool = False
    """Leave out decoding pictures and video frames; their number and times are checked all the same."""

    json: bool = False
    """Print JSON instead of text."""


def run(arguments: list[str]) -> int:
    """Print the findings; 0 when there is no error."""
    config = parse(ValidateConfig, arguments, "robot-stack data validate")
    from robot_stack.datasets.validate import validate

    result = validate(config.dataset, quick=config.quick)
    if config.json:
        from robot_stack.core.config_json import to_plain

        print(json.dumps({**to_plain(result), "ok": result.ok}, indent=2, ensure_ascii=False))
    else:
        _show(result)
    return SOUND if result.ok else UNSOUND


def _show(result: Validation) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for finding in result.findings:
        place = finding.file if finding.row is None else f"{finding.file}, row {finding.row}"
        label = (f"{finding.severity}: ", _COLOURS[finding.severity])
        console.print(Text.assemble(label, (f"{place}: ", "bold"), finding.message))
        for name, value in (("got", finding.got), ("expected", finding.expected), ("what to do", finding.remedy)):
            if value:
                console.print(Text(f"  {name}: {value}", "dim" if finding.severity == "note" else ""))
    errors, warnings = len(result.of("error")), len(result.of("warning"))
    looked = f"{result.episodes:,} episodes, {result.frames:,} frames"
    how = "every picture decoded" if result.decoded else "pictures not decoded"
    if result.ok:
        more = f", {warnings} warnings" if warnings else ""
        console.print(Text.assemble(("sound", "bold green"), f": {looked}; {how}{more}"))
    else:
        console.print(Text.assemble((f"{errors} errors", "bold red"), f", {warnings} warnings: {looked}; {how}"))
