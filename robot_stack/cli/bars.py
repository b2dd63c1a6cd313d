"""Progress on long work, drawn in the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from robot_stack.runtime.progress import Progress


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
        yield shown


def episode_bar(shown: Bars, label: str, total: int) -> Callable[[Progress], None]:
    """A bar over episodes; returns the listener that moves it.

    Args:
        shown: from :func:`bars`.
        label: before the bar.
        total: how many episodes.
    """
    task = shown.add_task(label, total=total, note="")

    def listen(progress: Progress) -> None:
        tried = progress.attempts or progress.done
        share = f"{progress.successes}/{tried} succeeded" if tried else ""
        trouble = f", {progress.failures} broke off" if progress.failures else ""
        shown.update(task, completed=progress.done, total=progress.total, note=share + trouble)

    return listen
