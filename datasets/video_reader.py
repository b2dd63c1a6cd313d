"""Random access to the frames of video files: packets are read by their place in the file and decoded directly.

A seek table (place, size, time and key flag of every packet) is made once for a file. After that no container is opened
or searched: the packets from the nearest key frame on go straight to a decoder that stays alive between calls.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from robot_stack.core.errors import VideoError
from robot_stack.datasets.seek_table import SeekTable, open_video, read_seek_table

__all__ = ["PacketDecoder", "SeekTable", "VideoPool", "read_seek_table"]

_REMEDY = "restore the file from a copy, or delete the episodes in it with `robot-stack data split`"


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
    """Open video files with their seek tables, and decoders, each bounded.

    A file stays as it was when it was opened, also when another takes its name. Not for use by several threads at once;
    give each thread its own pool.

    Args:
        home: folder in which seek tables are kept between processes; not kept when not given.
        max_packets: bound on the packets of all seek tables in memory (about 60 bytes each).
        max_files: bound on open files.
    """

    def __init__(self, home: Path | None = None, *, max_packets: int = 2_000_000, max_files: int = 64) -> None:
        self._home = home
        self._max_packets = max_packets
        self._max_files = max_files
        self._files: OrderedDict[Path, tuple[int, SeekTable]] = OrderedDict()
        self._packets = 0
        self._decoders: OrderedDict[tuple[str, bytes], PacketDecoder] = OrderedDict()

    def table(self, path: Path) -> SeekTable:
        """The seek table of a file.

        Raises:
            DatasetError: if the file is missing.
            VideoError: if it is damaged.
        """
        return self._open(path)[1]

    def read(self, path: Path, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """Decode frames of one file.

        Args:
            path: the file.
            numbers: indices of frames in presentation order, ascending, shape ``(n,)``.

        Yields:
            uint8 RGB of shape ``(height, width, 3)`` for each number.

        Raises:
            DatasetError: if the file is missing.
            VideoError: if it is damaged.
        """
        descriptor, table = self._open(path)
        decoder = self._decoder(table)
        for number in numbers:
            yield decoder.frame(table, descriptor, int(number))

    def close(self) -> None:
        """Close every file; the pool can be used again."""
        while self._files:
            self._drop()
        self._decoders.clear()

    def __del__(self) -> None:
        self.close()

    def _open(self, path: Path) -> tuple[int, SeekTable]:
        if path not in self._files:
            self._files[path] = open_video(path, self._home)
            self._packets += len(self._files[path][1].pts)
            while len(self._files) > 1 and (len(self._files) > self._max_files or self._packets > self._max_packets):
                self._drop()
        self._files.move_to_end(path)
        return self._files[path]

    def _drop(self) -> None:
        """Close the file that was not used for longest."""
        _, (descriptor, table) = self._files.popitem(last=False)
        self._packets -= len(table.pts)
        os.close(descriptor)

    def _decoder(self, table: SeekTable) -> PacketDecoder:
        configuration = (table.codec, table.extradata)
        if configuration not in self._decoders:
            self._decoders[configuration] = PacketDecoder(table)
            if len(self._decoders) > 8:
                self._decoders.popitem(last=False)
        self._decoders.move_to_end(configuration)
        return self._decoders[configuration]
