"""The frames of a video feature by row of the dataset."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import DatasetError, StorageError, VideoError
from robot_stack.datasets.columns import Column
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, FeatureInfo
from robot_stack.datasets.video_reader import SeekTable, VideoPool, read_seek_table

TOLERANCE_S = 1e-4
"""How far a frame's time may lie from the row's timestamp, as in LeRobot [s]."""


class VideoCamera:
    """Decodes frames where they are asked for.

    Args:
        root: folder of the dataset.
        info: what ``meta/info.json`` says.
        feature: the video feature.
        episodes: where its episodes lie.
        timestamps: the ``timestamp`` column.
        home: folder for caches; seek tables are kept there.
        moved: gives the table of the same episodes again if files were joined meanwhile, else ``None``.
        tolerance_s: see :data:`TOLERANCE_S`.
    """

    def __init__(
        self,
        root: Path,
        info: DatasetInfo,
        feature: FeatureInfo,
        episodes: EpisodeTable,
        timestamps: Column,
        home: Path,
        moved: Callable[[], EpisodeTable | None],
        tolerance_s: float = TOLERANCE_S,
    ) -> None:
        self.feature = feature
        self.shape = feature.image_shape
        self._episodes = episodes
        self._moved = moved
        self._timestamps = timestamps
        self._tolerance_s = tolerance_s
        self._pool = VideoPool(lambda path: load_seek_table(path, home / "seek"))
        self._lock = threading.Lock()
        self._path = lambda chunk, file: (
            root / info.video_path.format(video_key=feature.name, chunk_index=chunk, file_index=file)
        )

    def path(self, episode: int) -> Path:
        """The video file that holds an episode."""
        place = self._episodes.videos[self.feature.name]
        return self._path(int(place.chunk[episode]), int(place.file[episode]))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode the frames of some rows; each distinct frame is decoded once, files in order.

        Args:
            rows: rows of the dataset, shape ``(n,)``.

        Returns:
            uint8 RGB of shape ``(n, height, width, 3)``.

        Raises:
            DatasetError: if no frame lies at a row's timestamp, or it has another size than info.json says.
            VideoError: if a file is damaged.
        """
        unique, inverse = np.unique(rows, return_inverse=True)
        with self._lock:
            try:
                frames = self._read(unique)
            except (DatasetError, VideoError):
                episodes = self._moved()
                if episodes is None:
                    raise
                self._pool.close()
                self._episodes = episodes
                frames = self._read(unique)
        return frames if len(unique) == len(rows) and (inverse[1:] > inverse[:-1]).all() else frames[inverse]

    def close(self) -> None:
        """Close the video files."""
        with self._lock:
            self._pool.close()

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Frames of distinct rows in order, file after file."""
        place = self._episodes.videos[self.feature.name]
        frames = np.empty((len(rows), *self.shape), dtype=np.uint8)
        episode = np.searchsorted(self._episodes.start, rows, side="right") - 1
        files = np.stack([place.chunk[episode], place.file[episode]], axis=1)
        times = place.from_timestamp[episode] + self._timestamps.take(rows)
        for chunk, file in np.unique(files, axis=0):
            mine = np.flatnonzero((files == (chunk, file)).all(axis=1))
            mine = mine[np.argsort(times[mine], kind="stable")]
            self._read_file(self._path(int(chunk), int(file)), rows[mine], times[mine], frames, mine)
        return frames

    def _read_file(self, path: Path, rows: np.ndarray, times: np.ndarray, out: np.ndarray, places: np.ndarray) -> None:
        numbers = self._match(path, rows, times)
        for place, frame in zip(places, self._pool.read(path, numbers), strict=True):
            if frame.shape != self.shape:
                raise DatasetError(
                    "a video has another image size than info.json says",
                    where=path,
                    got=frame.shape,
                    expected=self.shape,
                    remedy="the file belongs to another dataset or camera; restore the right one",
                )
            out[place] = frame

    def _match(self, path: Path, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Number of the frame nearest to each time; an error when it is not near enough."""
        table = self._pool.table(path).times
        after = np.clip(np.searchsorted(table, times), 1, max(len(table) - 1, 1))
        before = after - 1
        after = np.minimum(after, len(table) - 1)
        numbers = np.where(times - table[before] <= table[after] - times, before, after)
        distance = np.abs(table[numbers] - times)
        allowed = self._tolerance_s + np.spacing(times.astype(np.float32)).astype(np.float64)
        far = np.flatnonzero(distance > allowed)
        if len(far):
            worst = int(far[0])
            raise DatasetError(
                "a video has no frame at the time of a row",
                where=f"{path}, row {rows[worst]} of the dataset",
                got=f"nearest frame at {table[numbers[worst]]:.6f} s",
                expected=f"{times[worst]:.6f} s (± {self._tolerance_s} s)",
                remedy="the video is cut short or belongs to other data; restore it, or delete the episode",
            )
        return numbers


def load_seek_table(path: Path, home: Path) -> SeekTable:
    """The seek table of a video file, from the cache when the file has not changed since.

    Args:
        path: the video file.
        home: folder for cached tables; not being able to write there is not an error.

    Raises:
        DatasetError: if the file is missing.
        VideoError: if it is damaged.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DatasetError(
            "a video file is missing", where=path, remedy="restore it from a copy, or delete its episodes"
        ) from error
    stamp = f"{path.parent.parent.name}/{path.parent.name}/{path.name} {status.st_size} {status.st_mtime_ns} 1"
    cached = home / f"{hashlib.blake2b(stamp.encode(), digest_size=12).hexdigest()}.npz"
    try:
        with np.load(cached, allow_pickle=False) as saved:
            return SeekTable(
                path=path,
                codec=str(saved["codec"]),
                extradata=saved["extradata"].tobytes(),
                time_base=Fraction(int(saved["time_base"][0]), int(saved["time_base"][1])),
                **{name: saved[name] for name in ("pts", "offset", "size", "key", "order", "times", "start")},
            )
    except (OSError, ValueError, KeyError, EOFError):
        pass
    table = read_seek_table(path)
    try:
        with atomic_path(cached) as temporary, temporary.open("wb") as file:
            _save(file, table)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, StorageError):
        pass
    return table


def _save(file: object, table: SeekTable) -> None:
    np.savez(
        file,  # pyright: ignore[reportArgumentType]
        codec=np.array(table.codec),
        extradata=np.frombuffer(table.extradata, dtype=np.uint8),
        time_base=np.array([table.time_base.numerator, table.time_base.denominator]),
        pts=table.pts,
        offset=table.offset,
        size=table.size,
        key=table.key,
        order=table.order,
        times=table.times,
        start=table.start,
    )
