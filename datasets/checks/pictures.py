"""Checks cameras: every episode's frames are in its video file at the right times, and every picture decodes."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
from av.error import FFmpegError

from robot_stack.core.errors import DatasetError, VideoError
from robot_stack.datasets.checks.finding import RESTORE, Findings
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, FeatureInfo, damaged_parquet, open_parquet
from robot_stack.datasets.video_reader import SeekTable, read_seek_table

TOLERANCE_S = 1e-4
_BATCH_ROWS = 256


def check_videos(
    root: Path, info: DatasetInfo, table: EpisodeTable, feature: FeatureInfo, findings: Findings, *, decode: bool
) -> None:
    """Check the video files of one camera; one finding for each damaged file.

    Args:
        root: folder of the dataset.
        info: what ``meta/info.json`` says.
        table: the committed episodes.
        feature: a video feature.
        findings: what is found goes here.
        decode: decode every frame; otherwise packets are counted and their times compared.
    """
    place = table.videos[feature.name]
    files = np.stack([place.chunk, place.file], axis=1)
    for chunk, number in np.unique(files, axis=0):
        path = root / info.video_path.format(video_key=feature.name, chunk_index=int(chunk), file_index=int(number))
        episodes = np.flatnonzero((files == (chunk, number)).all(axis=1))
        if not path.is_file():
            got = f"episodes {episodes[0]} to {episodes[-1]} are in it"
            findings.add("error", "a video file is missing", path, got=got, remedy=RESTORE)
            continue
        try:
            seek = read_seek_table(path)
            sound = _check_times(path, seek, info, table, feature, episodes, findings)
            if sound and decode:
                _decode(path, seek, feature, findings)
        except (VideoError, DatasetError) as error:
            findings.add_error(error)


def _check_times(
    path: Path,
    seek: SeekTable,
    info: DatasetInfo,
    table: EpisodeTable,
    feature: FeatureInfo,
    episodes: np.ndarray,
    findings: Findings,
) -> bool:
    """Each frame of each episode must be in the file at its time, and no frame belong to two."""
    taken = np.zeros(len(seek.times), dtype=bool)
    for episode in episodes:
        begin = float(table.videos[feature.name].from_timestamp[episode])
        times = begin + np.arange(int(table.length[episode])) / info.fps
        nearest = _nearest(seek.times, times)
        distance = np.abs(seek.times[nearest] - times)
        far = np.flatnonzero(distance > TOLERANCE_S + np.spacing(times.astype(np.float32)))
        if len(far):
            got = f"nearest at {seek.times[nearest[far[0]]]:.4f} s; {len(seek.times)} frames in the file"
            expected = f"a frame at {times[far[0]]:.4f} s"
            message = f"the video lacks frame {far[0]} of episode {episode} ({len(far)} of {len(times)} lack)"
            findings.add("error", message, path, got=got, expected=expected, remedy=RESTORE)
            return False
        if taken[nearest].any():
            findings.add("error", f"episode {episode} shares frames with another episode", path, remedy=RESTORE)
            return False
        taken[nearest] = True
    return True


def _nearest(table: np.ndarray, times: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(table, times), 0, len(table) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(table[before] - times) <= np.abs(table[after] - times), before, after)


def _decode(path: Path, seek: SeekTable, feature: FeatureInfo, findings: Findings) -> None:
    """Decode every frame and compare number and size."""
    count, height, width = 0, feature.image_shape[0], feature.image_shape[1]
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                if (frame.height, frame.width) != (height, width):
                    got, expected = f"{frame.width}x{frame.height}", f"{width}x{height}"
                    message = "a frame has another size than info.json says"
                    findings.add("error", message, path, row=count, got=got, expected=expected, remedy=RESTORE)
                    return
                if frame.is_corrupt:
                    findings.add("error", "a frame is damaged", path, row=count, remedy=RESTORE)
                    return
                count += 1
    except (FFmpegError, OSError) as error:
        findings.add("error", "a frame cannot be decoded", path, row=count, got=error, remedy=RESTORE)
        return
    if count != len(seek.times):
        got, expected = f"{count} frames decode", f"{len(seek.times)} frames"
        findings.add("error", "frames are missing", path, row=count, got=got, expected=expected, remedy=RESTORE)


def check_images(
    root: Path,
    info: DatasetInfo,
    table: EpisodeTable,
    feature: FeatureInfo,
    findings: Findings,
    damaged: set[str],
    *,
    decode: bool,
) -> None:
    """Check the pictures that lie in the data files; one finding for each file.

    Args:
        root: folder of the dataset.
        info: what ``meta/info.json`` says.
        table: the committed episodes.
        feature: an image feature.
        findings: what is found goes here.
        damaged: files that were found unreadable before, and need no second finding.
        decode: decode every picture; otherwise only their presence is checked.
    """
    for chunk, number in np.unique(np.stack([table.data_chunk, table.data_file], axis=1), axis=0):
        path = root / info.data_path.format(chunk_index=int(chunk), file_index=int(number))
        if not path.is_file() or str(path.relative_to(root)) in damaged:
            continue
        mine = (table.data_chunk == chunk) & (table.data_file == number)
        try:
            _check_file(path, int(table.length[mine].sum()), feature, findings, decode=decode)
        except DatasetError as error:
            findings.add_error(error)


def _check_file(path: Path, rows: int, feature: FeatureInfo, findings: Findings, *, decode: bool) -> None:
    row = 0
    with open_parquet(path) as file:
        if feature.name not in file.schema_arrow.names:
            got = file.schema_arrow.names
            findings.add("error", f"the column {feature.name!r} is missing", path, got=got, remedy=RESTORE)
            return
        try:
            for batch in file.iter_batches(_BATCH_ROWS, columns=[feature.name], use_threads=False):
                for value in batch.column(0).to_pylist()[: rows - row]:
                    trouble = _trouble(value, feature, decode=decode)
                    if trouble:
                        message = f"a picture of {feature.name!r} {trouble}"
                        findings.add("error", message, path, row=row, remedy=RESTORE)
                        return
                    row += 1
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged_parquet(path, error) from error


def _trouble(value: object, feature: FeatureInfo, *, decode: bool) -> str:
    data = value.get("bytes") if isinstance(value, dict) else None
    if not data:
        return "is missing (no bytes are stored)"
    if not decode:
        return ""
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        return f"does not decode ({len(data)} bytes)"
    height, width, _ = feature.image_shape
    if image.shape[:2] != (height, width):
        return f"is {image.shape[1]}x{image.shape[0]}, not {width}x{height}"
    return ""
