"""One writer at a time for a folder, across processes; the lock goes with its holder, even on kill -9."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType

from robot_stack.core.atomic import storage_errors
from robot_stack.core.errors import LockedError


class FolderLock:
    """An exclusive advisory lock on ``folder/.lock`` held while the object is open.

    Args:
        folder: what to lock; made if it is not there.
        what: the noun for messages, e.g. ``"dataset"``.

    Raises:
        LockedError: if another live process holds it; the message names that process.
    """

    def __init__(self, folder: str | Path, *, what: str = "folder") -> None:
        self.path = Path(folder) / ".lock"
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 4096, 0).decode(errors="replace")
            os.close(self._descriptor)
            self._descriptor = None
            raise LockedError(
                f"another process is writing this {what}",
                where=self.path.parent,
                got=holder or "an unnamed process",
                remedy=f"wait for it to end, or give another folder for this {what}",
            ) from error
        note = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")})
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note.encode(), 0)

    def release(self) -> None:
        """Let others in; idempotent."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
