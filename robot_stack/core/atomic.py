"""Files that are either there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robot_stack.core.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "free disk space and run the command again; nothing that was committed is lost",
    errno.EDQUOT: "the disk quota is used up; free space and run the command again",
    errno.EFBIG: "the file is larger than the file system or a limit of this process allows",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission to write here; choose another folder or change its permissions",
    errno.EPERM: "no permission to write here; choose another folder or change its permissions",
}


@contextlib.contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turn a refusal of the file system into a :class:`StorageError` that says the way out."""
    try:
        yield
    except OSError as error:
        if error.errno in _REMEDIES:
            raise StorageError(
                f"cannot write: {os.strerror(error.errno or 0)}", where=path, remedy=_REMEDIES[error.errno]
            ) from error
        raise


def fsync_folder(folder: str | Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Make everything in ``folder`` durable: contents and names, at any depth."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, durably, when the block ends well.

    Usage: ``with atomic_path("a.bin") as temporary: write(temporary)``.

    Raises:
        StorageError: if the file system refuses; ``path`` is then as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, target)
            fsync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically and durably."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically and durably."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, atomically and durably."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
