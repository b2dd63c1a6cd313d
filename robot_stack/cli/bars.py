"""Progress on long work, drawn in the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from robot_stack.core.errors import RobotStackError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from robot_stack.runtime.progress import Progress
    from robot_stack.training.reporter import TrainEvent


@contextlib.contextmanager
def bars() -> Iterator[Bars]:
    """A block of progress bars; in a pipe or a log each bar prints one line when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console, refresh_per_second=4) as shown:
        try:
            yield shown
        except RobotStackError:
            for task in [task.id for task in shown.tasks if not task.completed]:
                shown.remove_task(task)
            raise


def collection_bar(shown: Bars, label: str, total: int) -> Callable[[Progress], None]:
    """A bar over demonstrations; returns the listener that moves it.

    Args:
        shown: from :func:`bars`.
        label: before the bar.
        total: how many episodes.
    """
    return _episode_bar(shown, label, total, lambda p: f"{p.attempts} tried" if p.attempts != p.done else "")


def evaluation_bar(shown: Bars, label: str, total: int) -> Callable[[Progress], None]:
    """A bar over evaluated episodes; returns the listener that moves it.

    Args:
        shown: from :func:`bars`.
        label: before the bar.
        total: how many episodes.
    """
    return _episode_bar(shown, label, total, lambda p: f"{p.successes}/{p.done} succeeded")


def training_bar(shown: Bars, label: str, total: int) -> Callable[[TrainEvent], None]:
    """A bar over training steps; returns the listener that moves it.

    Args:
        shown: from :func:`bars`.
        label: before the bar.
        total: how many steps.
    """
    task = shown.add_task(label, total=total, note="")
    notes = {"loss": "", "validation": ""}

    def listen(event: TrainEvent) -> None:
        if event.kind == "train" and "loss" in event.values:
            notes["loss"] = f"loss {event.values['loss']:.4f}"
        if event.kind == "validation" and "loss" in event.values:
            notes["validation"] = f"held out {event.values['loss']:.4f}"
        if event.kind == "message":
            shown.console.print(f"  {event.text}", style="yellow")
        note = "  ".join(text for text in notes.values() if text)
        shown.update(task, completed=event.step, total=event.total_steps, note=note)

    return listen


def _episode_bar(shown: Bars, label: str, total: int, note: Callable[[Progress], str]) -> Callable[[Progress], None]:
    task = shown.add_task(label, total=total, note="")

    def listen(progress: Progress) -> None:
        trouble = f", {progress.failures} broke off" if progress.failures else ""
        shown.update(task, completed=progress.done, total=progress.total, note=note(progress) + trouble)

    return listen
