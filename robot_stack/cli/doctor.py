"""``robot-stack doctor``: what works on this machine, what does not, and the way out of each."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from robot_stack.cli.doctor_checks import (
    bundles,
    machine,
    python,
    rendering,
    ros,
    simulation,
    storage,
    torch_device,
    video,
)
from robot_stack.cli.doctor_checks.check import Check, Checker, Ground
from robot_stack.cli.parsing import Many, parse

CHECKS: dict[str, Checker] = {
    "python": python.check,
    "machine": machine.check,
    "disk": storage.check,
    "torch": torch_device.check,
    "simulation": simulation.check,
    "rendering": rendering.check,
    "video": video.check,
    "ros": ros.check,
    "bundles": bundles.check,
}
"""What is looked at, by the name that ``--only`` takes."""

ALL_WORKS = 0
SOMETHING_BROKEN = 1

_SIGNS = {"works": ("✓", "green"), "warning": ("!", "yellow"), "broken": ("✗", "bold red")}
_AT_ONCE = 2


@dataclass(frozen=True)
class DoctorConfig:
    """Try what robot_stack needs on this machine; each thing that does not work comes with the way out."""

    folder: Path = Path()
    """Folder whose disk is tried: where data will be written."""

    bundle: Many[Path] = ()
    """Policy bundles to load, each checked against its golden action."""

    only: Many[str] = ()
    """Look at these only: python, machine, disk, torch, simulation, rendering, video, ros, bundles."""

    timeout_s: float = 120.0
    """A trial that takes longer counts as failed [s]."""

    json: bool = False
    """Print JSON instead of a table."""


def run(arguments: list[str]) -> int:
    """Run the checks; 0 when all that is needed works, 1 when something needed is broken."""
    config = parse(DoctorConfig, arguments, "robot-stack doctor")
    checks = examine(config)
    broken = [check for check in checks if check.status == "broken"]
    if config.json:
        print(_as_json(checks, ok=not broken))
    else:
        _show(checks)
    return SOMETHING_BROKEN if broken else ALL_WORKS


def examine(config: DoctorConfig) -> list[Check]:
    """Make every check that was asked for, in order.

    Raises:
        UnknownNameError: if ``only`` names a check that does not exist.
    """
    from robot_stack.core.errors import require_name

    names = [require_name("check", name, CHECKS) for name in config.only] or list(CHECKS)
    ground = Ground(config.folder, config.bundle, config.timeout_s)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [check for found in pool.map(lambda name: CHECKS[name](ground), names) for check in found]


def _as_json(checks: list[Check], *, ok: bool) -> str:
    from robot_stack import __version__
    from robot_stack.core.config_json import to_plain

    report = {"robot_stack": __version__, "ok": ok, "checks": [to_plain(check) for check in checks]}
    return json.dumps(report, indent=2, ensure_ascii=False)


def _show(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from robot_stack import __version__

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for check in checks:
        sign, colour = _SIGNS[check.status]
        table.add_row(Text(sign, colour), check.name, Text(check.found))
        if check.remedy:
            table.add_row("", "", Text(f"→ {check.remedy}", colour))
    console = Console(file=sys.stdout, highlight=False)
    console.print(f"robot_stack {__version__}\n", style="dim")
    console.print(table)
    console.print(_verdict(checks))


def _verdict(checks: list[Check]) -> str:
    broken = [check.name for check in checks if check.status == "broken"]
    warnings = [check.name for check in checks if check.status == "warning"]
    if broken:
        return f"\n[bold red]Broken: {', '.join(broken)}.[/] Follow the arrows, then run robot-stack doctor again."
    if warnings:
        return f"\n[green]All that is needed works.[/] Worth a look: {', '.join(warnings)}."
    return "\n[green]Everything works.[/] Go on with: robot-stack demo"
