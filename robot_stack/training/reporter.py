"""Tells what happens in a training run to its files and to whoever listens; silent on all ranks but the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, TypeAlias

from robot_stack.training.run import Run
from robot_stack.training.tensorboard_log import TensorBoardLog

EventKind = Literal["started", "resumed", "train", "validation", "checkpoint", "message", "finished", "interrupted"]


@dataclass(frozen=True)
class TrainEvent:
    """Something that happened in a run."""

    kind: EventKind
    """What."""

    step: int
    """Updates done."""

    total_steps: int
    """Updates the run will have."""

    values: dict[str, float] = field(default_factory=dict)
    """Numbers, for ``"train"`` (``loss``, ``gradient_norm``, ``lr``, ``steps_per_s``, …) and ``"validation"``."""

    text: str = ""
    """Words, for the other kinds."""


Listener: TypeAlias = Callable[[TrainEvent], None]
"""For example a progress bar."""


class Reporter:
    """Writes to ``events.jsonl``, ``log.txt`` and TensorBoard, and calls the listeners.

    Args:
        run: the open run folder; ``None`` on the ranks that do not write.
        total_steps: updates the run will have.
        listeners: called on this process.
    """

    def __init__(self, run: Run | None, total_steps: int, listeners: Sequence[Listener] = ()) -> None:
        self.run = run
        self.total_steps = total_steps
        self.listeners = tuple(listeners) if run is not None else ()
        self._tensorboard: TensorBoardLog | None = None

    def open_tensorboard(self, resumed_at: int | None) -> None:
        """Write curves for TensorBoard from here on.

        Raises:
            MissingExtraError: if tensorboard is not installed.
        """
        if self.run is not None:
            self._tensorboard = TensorBoardLog(self.run.folder / "tensorboard", resumed_at)

    def numbers(self, kind: Literal["train", "validation"], step: int, values: dict[str, float]) -> None:
        """Report metrics."""
        if self.run is None:
            return
        self.run.events.write(kind, step, **values)
        if self._tensorboard is not None:
            self._tensorboard.write(kind, step, values)
        self._tell(TrainEvent(kind, step, self.total_steps, values))

    def words(self, kind: EventKind, step: int, text: str) -> None:
        """Report something in words."""
        if self.run is None:
            return
        self.run.events.write(kind, step, text=text)
        self.run.log(f"step {step}: {text}")
        self._tell(TrainEvent(kind, step, self.total_steps, text=text))

    def _tell(self, event: TrainEvent) -> None:
        for listener in self.listeners:
            listener(event)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()
