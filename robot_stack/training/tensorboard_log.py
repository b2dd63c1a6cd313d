"""Curves for TensorBoard, beside the JSON lines."""

from __future__ import annotations

from pathlib import Path

from robot_stack.core.errors import MissingExtraError


class TensorBoardLog:
    """Writes scalars under ``folder``.

    Args:
        folder: where the event files go.
        resumed_at: step the run goes on from; what was written after it is hidden.

    Raises:
        MissingExtraError: if tensorboard is not installed.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("a TensorBoard log", extra="train", package="tensorboard") from error
        purge = None if resumed_at is None else resumed_at + 1
        self._writer = SummaryWriter(str(folder), purge_step=purge, flush_secs=20)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Add ``kind/name`` for each value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
