"""Cuts frames out of a video file without decoding: packets are copied, so a kept frame keeps its bits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from robot_stack.datasets.schema import frame_rate
from robot_stack.datasets.video_reader import SeekTable, read_seek_table
from robot_stack.datasets.video_writer import video_errors

_TOLERANCE_S = 1e-5


@dataclass(frozen=True)
class Span:
    """Frames that follow one another in a video file."""

    begin_s: float
    """Time of the first of them in the file [s]."""

    frames: int
    """How many."""


def copy_spans(source: Path, spans: list[Span], fps: float, target: Path) -> list[float]:
    """Copy some frames of a file; the whole file where frames cannot be told apart without decoding.

    Args:
        source: a video file.
        spans: what to keep, in the order of the file.
        fps: frames a second.
        target: the new file.

    Returns:
        For each span the time at which it begins in ``target`` [s].

    Raises:
        VideoError: if the source is damaged.
        StorageError: if the disk is full.
    """
    table = read_seek_table(source)
    cuts = [_packets(table, span, fps) for span in spans]
    if sum(span.frames for span in spans) < len(table.times) and all(cut is not None for cut in cuts):
        begins = _cut(source, table, spans, [cut for cut in cuts if cut is not None], fps, target)
        if begins is not None:
            return begins
        target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    return [span.begin_s for span in spans]


def _packets(table: SeekTable, span: Span, fps: float) -> range | None:
    """The packets of a span, when they lie together in the file and begin with a key frame."""
    first = int(np.argmin(np.abs(table.times - span.begin_s)))
    if first + span.frames > len(table.times) or abs(table.times[first] - span.begin_s) > 0.5 / fps:
        return None
    packets = table.order[first : first + span.frames]
    low, high = int(packets.min()), int(packets.max()) + 1
    if high - low != span.frames or not table.key[low] or packets[0] != low:
        return None
    return range(low, high)


def _cut(
    source: Path, table: SeekTable, spans: list[Span], cuts: list[range], fps: float, target: Path
) -> list[float] | None:
    """Copy packets and check where their frames went; ``None`` when the new file does not tell them apart as well."""
    rate = frame_rate(fps)
    shifts: dict[int, int] = {}
    begins, done = [], 0
    for span, cut in zip(spans, cuts, strict=True):
        first, start = int(table.pts[cut.start]), round(done / rate / table.time_base)
        shifts |= dict.fromkeys(cut, start - first)
        begins.append(float(start * table.time_base) + span.begin_s - float(first * table.time_base))
        done += span.frames
    with video_errors(target), av.open(str(source)) as reader, av.open(str(target), "w", format="mp4") as writer:
        stream = reader.streams.video[0]
        new: Any = writer.add_stream_from_template(template=stream, opaque=True)
        new.time_base = table.time_base
        number = 0
        for packet in reader.demux(stream):
            if packet.pts is None or packet.dts is None or not packet.size:
                continue
            if number in shifts:
                packet.pts, packet.dts = packet.pts + shifts[number], packet.dts + shifts[number]
                packet.stream = new
                writer.mux(packet)
            number += 1
    expected = [float((table.pts[i] + shifts[i]) * table.time_base) for cut in cuts for i in cut]
    times = read_seek_table(target).times
    same = len(times) == len(expected) and float(np.abs(times - np.sort(expected)).max()) < _TOLERANCE_S
    return begins if same else None
