"""Random access to the frames of video files: packets are read by their place in the file and decoded directly.

A seek table (place, size, time and key flag of every packet) is made once for a file. After that no container is opened
or searched: the packets from the nearest key frame on go straight to a decoder that stays alive between calls.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from robot_stack.core.errors import VideoError

_REMEDY = "restore the file from a copy, or delete the episodes in it with `robot-stack data split`"


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


class PacketDecoder:
    """One decoder that serves every file with the same codec configuration, reading each packet at most once in a row.

    Args:
        table: any of those files.
    """

    def __init__(self, table: SeekTable) -> None:
        self._context: Any = av.CodecContext.create(table.codec, "r")
        if table.extradata:
            self._context.extradata = table.extradata
        self._context.thread_count = 1
        self._to_rgb = VideoReformatter()
        self._table: SeekTable | None = None
        self._next = 0
        self._last_pts = 0
        self._drained = False
        self._ready: deque[Any] = deque()

    def frame(self, table: SeekTable, descriptor: int, number: int) -> np.ndarray:
        """Decode one frame; consecutive numbers of one file are decoded without going back.

        Args:
            table: the file's packets.
            descriptor: the file, open for reading.
            number: index of the frame in presentation order.

        Returns:
            uint8 RGB of shape ``(height, width, 3)``.

        Raises:
            VideoError: if the packets are damaged.
        """
        pts, start = int(table.pts[table.order[number]]), int(table.start[number])
        usable = self._table is table and self._last_pts < pts and start <= self._next
        if not usable:
            self._restart(table, start)
        try:
            for frame in self._decode(table, descriptor):
                self._last_pts = frame.pts
                if frame.pts == pts:
                    return self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
                if frame.pts > pts:
                    break
        except (FFmpegError, OSError) as error:
            self._table = None
            raise _undecodable(table, number, str(error)) from error
        self._table = None
        raise _undecodable(table, number, "the decoder gave no such frame")

    def _restart(self, table: SeekTable, start: int) -> None:
        self._context.flush_buffers()
        self._ready.clear()
        self._table, self._next, self._drained = table, start, False
        self._last_pts = int(np.iinfo(np.int64).min)

    def _decode(self, table: SeekTable, descriptor: int) -> Iterator[Any]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._drained:
                return
            if self._next < len(table.pts):
                self._ready.extend(self._context.decode(_read_packet(table, descriptor, self._next)))
                self._next += 1
            else:
                self._ready.extend(self._context.decode(None))
                self._drained = True


def _read_packet(table: SeekTable, descriptor: int, index: int) -> Any:
    data = os.pread(descriptor, int(table.size[index]), int(table.offset[index]))
    if len(data) != table.size[index]:
        raise OSError(f"the file ends inside packet {index}")
    packet = av.Packet(data)
    packet.pts = packet.dts = int(table.pts[index])
    packet.time_base = table.time_base
    return packet


def _undecodable(table: SeekTable, number: int, reason: str) -> VideoError:
    place = f"{table.path}, frame {number} at {table.times[number]:.4f} s"
    return VideoError("a video frame cannot be decoded", where=place, got=reason, remedy=_REMEDY)


class VideoPool:
    """Seek tables, open files and decoders of many video files, each bounded.

    Not for use by several threads at once; give each thread its own pool.

    Args:
        load_table: makes the seek table of a file (from a cache, or :func:`read_seek_table`).
        max_packets: bound on the packets of all seek tables in memory (about 50 bytes each).
        max_files: bound on open files.
    """

    def __init__(
        self,
        load_table: Callable[[Path], SeekTable] = read_seek_table,
        *,
        max_packets: int = 2_000_000,
        max_files: int = 64,
    ) -> None:
        self._load_table = load_table
        self._max_packets = max_packets
        self._max_files = max_files
        self._tables: OrderedDict[Path, SeekTable] = OrderedDict()
        self._packets = 0
        self._descriptors: OrderedDict[Path, int] = OrderedDict()
        self._decoders: OrderedDict[tuple[str, bytes], PacketDecoder] = OrderedDict()

    def table(self, path: Path) -> SeekTable:
        """The seek table of a file."""
        table = self._tables.get(path)
        if table is None:
            table = self._load_table(path)
            self._tables[path] = table
            self._packets += len(table.pts)
            while self._packets > self._max_packets and len(self._tables) > 1:
                _, dropped = self._tables.popitem(last=False)
                self._packets -= len(dropped.pts)
        self._tables.move_to_end(path)
        return table

    def read(self, path: Path, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """Decode frames of one file.

        Args:
            path: the file.
            numbers: indices of frames in presentation order, ascending, shape ``(n,)``.

        Yields:
            uint8 RGB of shape ``(height, width, 3)`` for each number.

        Raises:
            VideoError: if the file is damaged.
        """
        table = self.table(path)
        decoder = self._decoder(table)
        descriptor = self._descriptor(path)
        for number in numbers:
            yield decoder.frame(table, descriptor, int(number))

    def close(self) -> None:
        """Close every file; the pool can be used again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        self._decoders.clear()
        self._tables.clear()
        self._packets = 0

    def __del__(self) -> None:
        self.close()

    def _decoder(self, table: SeekTable) -> PacketDecoder:
        configuration = (table.codec, table.extradata)
        if configuration not in self._decoders:
            self._decoders[configuration] = PacketDecoder(table)
            if len(self._decoders) > 8:
                self._decoders.popitem(last=False)
        self._decoders.move_to_end(configuration)
        return self._decoders[configuration]

    def _descriptor(self, path: Path) -> int:
        if path not in self._descriptors:
            self._descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if len(self._descriptors) > self._max_files:
                os.close(self._descriptors.popitem(last=False)[1])
        self._descriptors.move_to_end(path)
        return self._descriptors[path]
