"""What goes on while one motion is retargeted, as a line in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from robot_stack.retarget.progress import StepProgress

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 20
"""Letters of a motion's name, so that the line fits into 80 columns."""


class Stages:
    """Says which step is going on, how far it is, how fast, and how long it still takes.

    Nothing is drawn where standard error is no terminal.

    Args:
        name: of the motion.
        console: where it is drawn; standard error when left out.
        clock: seconds.
    """

    def __init__(self, name: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        shown = Console(stderr=True) if console is None else console
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._bars = Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal)
        self._name, self._clock = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…", clock
        self._task = self._bars.add_task(self._name)
        self._step, self._from, self._since = "", 0, 0.0

    def __enter__(self) -> Stages:
        self._bars.start()
        return self

    def __call__(self, progress: StepProgress) -> None:
        """Show it."""
        self._bars.update(self._task, description=f"{self._name}: {self.words(progress)}")

    def words(self, progress: StepProgress) -> str:
        """The step in words; the time left is told from its own speed, and for rounds it is the most that is left."""
        now = self._clock()
        if progress.step != self._step:
            self._step, self._from, self._since = progress.step, progress.done, now
        if not progress.total:
            return progress.step
        rounds = progress.unit == "rounds"
        text = f"{progress.step}, {progress.done} of {'at most ' if rounds else ''}{progress.total} {progress.unit}"
        done, took = progress.done - self._from, now - self._since
        if done <= 0 or took <= 0:
            return text
        left = took / done * (progress.total - progress.done)
        speed = "" if rounds else f", {done / took:.0f} a second"
        return f"{text}{speed}, {'at most ' if rounds else ''}{left:.0f} s left"

    def __exit__(self, *error: object) -> None:
        self._bars.stop()
