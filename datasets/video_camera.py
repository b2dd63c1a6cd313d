"""The frames of a video feature by row of the dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_stack.core.errors import DatasetError, VideoError
from robot_stack.datasets.columns import Column
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, FeatureInfo
from robot_stack.datasets.video_reader import VideoPool

TOLERANCE_S = 1e-4
"""How far a frame's time may lie from the row's timestamp, as in LeRobot [s]."""


_ATTEMPTS = 5


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
        self._pool = VideoPool(home / "seek")
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
            frames = self._steadily(unique)
        return frames if len(unique) == len(rows) and (inverse[1:] > inverse[:-1]).all() else frames[inverse]

    def _steadily(self, rows: np.ndarray) -> np.ndarray:
        """Read; and again if it failed because a writer has joined files since their places were read."""
        for _ in range(_ATTEMPTS):
            try:
                return self._read(rows)
            except (DatasetError, VideoError):
                episodes = self._moved()
                if episodes is None:
                    raise
                self._pool.close()
                self._episodes = episodes
        return self._read(rows)

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
