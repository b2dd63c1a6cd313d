"""New lines of the runner's log, for the operator's table."""

from __future__ import annotations

from pathlib import Path


class LogTail:
    """What the runner noted since the last look.

    Args:
        folder: where the runner keeps outputs; empty for nowhere.
    """

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "runner.log" if folder else None
        self._read = self._path.stat().st_size if self._path is not None and self._path.is_file() else 0

    def new_lines(self) -> list[str]:
        """Whole lines that are new."""
        if self._path is None or not self._path.is_file() or self._path.stat().st_size <= self._read:
            return []
        with self._path.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        end = text.rfind(b"\n") + 1
        self._read += end
        return [f"runner | {line}" for line in text[:end].decode(errors="replace").splitlines()]
