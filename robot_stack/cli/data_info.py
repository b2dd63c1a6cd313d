"""``robot-stack data info``: a dataset in numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_stack.cli.parsing import parse

if TYPE_CHECKING:
    from rich.console import Console

    from robot_stack.datasets.summary import Summary

_MOST_TASKS = 30


@dataclass(frozen=True)
class InfoConfig:
    """Tell how much a dataset holds, of what, by whom, and how well."""

    dataset: Positional[Path]
    """Folder of the dataset."""

    json: bool = False
    """Print JSON instead of tables."""


def run(arguments: list[str]) -> int:
    """Print the summary."""
    config = parse(InfoConfig, arguments, "robot-stack data info")
    from robot_stack.datasets.summary import summarize

    summary = summarize(config.dataset)
    if config.json:
        from robot_stack.core.config_json import to_plain

        print(json.dumps({**to_plain(summary), "success_rate": summary.success_rate}, indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console

    _show(summary, Console(highlight=False))
    return 0


def _show(summary: Summary, console: Console) -> None:
    from rich.table import Table

    from robot_stack.datasets.view_page.overview import duration, share, size

    console.print(f"[bold]{summary.root}[/]")
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = {
        "robot": summary.embodiment or "not noted",
        "episodes": f"{summary.episodes:,}, {summary.shortest} to {summary.longest} frames long "
        f"(median {summary.median:g})",
        "frames": f"{summary.frames:,} at {summary.fps:g} Hz = {duration(summary.hours)}",
        "succeeded": share(summary.succeeded, summary.judged),
        "driven by": ", ".join(f"{name} ({count})" for name, count in summary.drivers.items()) or "–",
        "on disk": ", ".join(f"{name} {size(count)}" for name, count in summary.bytes.items() if count),
    }
    if summary.recovered:
        rows["recovered"] = f"{summary.recovered} of them, after a recording broke off"
    if summary.rate:
        rows["measured rate"] = (
            f"{summary.rate.measured_hz:.2f} Hz, {summary.rate.ratio:.1%} of nominal; "
            f"longest gap {summary.rate.worst_gap_s * 1e3:.0f} ms"
        )
    for name, value in rows.items():
        facts.add_row(f"[dim]{name}[/]", value)
    console.print(facts)
    tasks = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("task", "episodes", "succeeded"):
        tasks.add_column(name)
    for task in summary.tasks[:_MOST_TASKS]:
        tasks.add_row(task.instruction, str(task.episodes), share(task.succeeded, task.judged))
    console.print(tasks)
    if len(summary.tasks) > _MOST_TASKS:
        console.print(f"[dim]and {len(summary.tasks) - _MOST_TASKS} more tasks[/]")
    features = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("feature", "type", "shape"):
        features.add_column(name)
    for feature in summary.features:
        features.add_row(feature.name, feature.dtype, " × ".join(map(str, feature.shape)))
    console.print(features)
