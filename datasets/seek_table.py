"""Where every packet of a video file lies, found once without decoding and kept in a cache."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import DatasetError, StorageError, VideoError

_REMEDY = "restore the file from a copy, or delete the episodes in it with `robot-stack data split`"
_ARRAYS = ("pts", "offset", "size", "key", "order", "times", "start")
_ATTEMPTS = 8


@dataclass(frozen=True)
class SeekTable:
    """The packets of one video file in decoding order; arrays of shape ``(packets,)``."""

    path: Path
    """The file."""

    codec: str
    """Name of the decoder."""

    extradata: bytes
    """Codec configuration record."""

    time_base: Fraction
    """Unit of ``pts`` [s]."""

    pts: np.ndarray
    """Presentation time [time_base]."""

    offset: np.ndarray
    """First byte in the file."""

    size: np.ndarray
    """Bytes."""

    key: np.ndarray
    """Whether decoding can begin here."""

    order: np.ndarray
    """Packet of each frame, frames in presentation order."""

    times: np.ndarray
    """Presentation time of each frame in order [s]."""

    start: np.ndarray
    """Packet at which decoding must begin to get each frame, frames in presentation order."""


def read_seek_table(path: Path) -> SeekTable:
    """Find every packet of a video file without decoding.

    Raises:
        VideoError: if the file is missing, damaged, or holds no video.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("a video file holds no video", where=path, remedy=_REMEDY)
            stream = container.streams.video[0]
            context = stream.codec_context
            rows = [
                (p.pts, p.pos, p.size, p.is_keyframe) for p in container.demux(stream) if p.pts is not None and p.size
            ]
            codec, extradata, time_base = context.name, bytes(context.extradata or b""), stream.time_base
    except (FFmpegError, OSError) as error:
        reason = f"{path.stat().st_size} bytes; {error}" if path.exists() else "no such file"
        raise VideoError(
            "a video file cannot be opened: it is missing, cut short or damaged", where=path, got=reason, remedy=_REMEDY
        ) from error
    if not rows or time_base is None:
        raise VideoError("a video file holds no frames", where=path, remedy=_REMEDY)
    pts, offset, size, key = (np.array(values) for values in zip(*rows, strict=True))
    order = np.argsort(pts, kind="stable")
    times = pts[order] * float(time_base)
    return SeekTable(path, codec, extradata, time_base, pts, offset, size, key, order, times, _starts(pts, key, order))


def _starts(pts: np.ndarray, key: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each frame the last key packet that precedes it both in decoding and in presentation order."""
    keys = np.flatnonzero(key)
    if not len(keys):
        return np.zeros(len(pts), dtype=np.int64)
    which = np.maximum(np.searchsorted(keys, order, side="right") - 1, 0)
    too_late = (pts[keys[which]] > pts[order]) & (which > 0)
    which[too_late] -= 1
    return keys[which]


def open_video(path: Path, home: Path | None) -> tuple[int, SeekTable]:
    """A video file open for reading, and the seek table of exactly that file.

    A writer may put a longer file in its place at any moment; the table is made, or taken from the cache, again until
    it belongs to the file that was opened.

    Args:
        path: the file.
        home: folder for cached tables, or ``None``; not being able to write there is not an error.

    Returns:
        A file descriptor that the caller closes, and the table.

    Raises:
        DatasetError: if the file is missing, or changes all the time.
        VideoError: if it is damaged.
    """
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise DatasetError("a video file is missing", where=path, remedy=_REMEDY) from error
        try:
            opened = _stamp(os.fstat(descriptor))
            cached = None if home is None else home / _cache_name(path, opened)
            table = None if cached is None else _load(cached, path)
            made = table is None
            table = table or read_seek_table(path)
            if path.exists() and _stamp(path.stat()) == opened:
                if made and cached is not None:
                    _save(cached, table)
                return descriptor, table
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise DatasetError("a video file changes while it is read", where=path, remedy="wait for its writer to end")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _cache_name(path: Path, stamp: tuple[int, int, int]) -> str:
    text = f"1 {path.parent.parent.name}/{path.parent.name}/{path.name} {stamp[1]} {stamp[2]}"
    return f"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}.npz"


def _load(cached: Path, path: Path) -> SeekTable | None:
    try:
        with np.load(cached, allow_pickle=False) as saved:
            return SeekTable(
                path=path,
                codec=str(saved["codec"]),
                extradata=saved["extradata"].tobytes(),
                time_base=Fraction(int(saved["time_base"][0]), int(saved["time_base"][1])),
                **{name: saved[name] for name in _ARRAYS},
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _save(cached: Path, table: SeekTable) -> None:
    arrays: dict[str, Any] = {name: getattr(table, name) for name in _ARRAYS}
    arrays["codec"] = np.array(table.codec)
    arrays["extradata"] = np.frombuffer(table.extradata, dtype=np.uint8)
    arrays["time_base"] = np.array([table.time_base.numerator, table.time_base.denominator])
    try:
        with atomic_path(cached) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except (OSError, StorageError):
        return
