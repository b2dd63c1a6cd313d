"""``robot-stack trials status``: how far a study is, without breaking its blinding."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_stack.cli.parsing import parse

if TYPE_CHECKING:
    from robot_stack.evaluation.trials.status import BlindStatus


@dataclass(frozen=True)
class StatusArgs:
    """Tell pooled figures, and whether to go on; may be asked while trials run."""

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> int:
    """Tell."""
    args = parse(StatusArgs, arguments, "robot-stack trials status")
    from robot_stack.evaluation.trials.status import blind_status
    from robot_stack.evaluation.trials.store import read_store

    status = blind_status(read_store(args.store).state)
    if args.json:
        from robot_stack.core.config_json import to_plain

        print(json.dumps(to_plain(status), indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console

    show_status(status, Console(highlight=False))
    return 0


def show_status(status: BlindStatus, console: Any) -> None:
    """The figures as a short table."""
    from rich.table import Table

    advice = {
        "continue": "go on: the stopping rule wants more trials",
        "stop": "stop: the trials are over; open the key with robot-stack trials unblind",
        "unblinded": "the key was opened; no more trials",
    }[status.advice]
    console.print(f"[bold]{status.study}[/bold]: {advice}")
    waiting = status.blocks_complete - status.blocks_counted
    rows = {
        "blocks": f"{status.blocks_counted} counted of at most {status.blocks_max}"
        + (f", {waiting} more wait for an earlier one" if waiting else ""),
        "trials judged": f"{status.labelled}, all policies together {status.success}",
        "first and second half": f"{status.first_half}; {status.second_half}",
        "excluded": ", ".join(f"{count} × {reason}" for reason, count in status.excluded.items()) or "none",
        "lost with their station": str(status.expired),
        "emergency stops": str(status.emergency_stops),
        "labels taken back": str(status.undone),
        "under way": str(status.under_way),
        "stations": ", ".join(f"{name} ({who})" for name, who in status.stations.items()) or "none yet",
    }
    if status.label_latency_s is not None:
        rows["assignment to label"] = f"{status.label_latency_s:.0f} s (median)"
    if status.rater_agreement is not None:
        rows["second rater agrees"] = f"{status.rater_agreement:.0%} of {status.second_ratings}"
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    for deviation in status.deviations:
        console.print(f"  deviation: {deviation}", style="yellow")
