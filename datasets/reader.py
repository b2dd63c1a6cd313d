"""Reads a dataset in the LeRobotDataset v3.0 layout, whoever wrote it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from robot_stack.core.errors import DatasetError, UnknownNameError, VideoError, require_name
from robot_stack.datasets.cache_store import FilesChanged, SourceFile, cache_home, describe_source
from robot_stack.datasets.columns import Column, DataPart, data_parts, open_columns
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.frame_cache import Camera, fits, open_frame_cache
from robot_stack.datasets.image_camera import ImageCamera
from robot_stack.datasets.metadata import (
    DatasetInfo,
    FeatureInfo,
    open_parquet,
    read_batches,
    read_info,
    read_stats,
    read_tasks,
)
from robot_stack.datasets.video_camera import VideoCamera

T = TypeVar("T")

_ATTEMPTS = 5


class Dataset:
    """One dataset, opened as it is now: episodes committed later appear after :meth:`refresh`.

    Opening reads the metadata only. The low-dimensional columns are decoded on first use into memory-mapped files in
    a cache beside the dataset (or in the user's cache folder when the dataset is read-only).

    Args:
        root: the folder that holds ``meta/``, ``data/`` and ``videos/``.
        cache_dir: folder for decoded data instead of the one beside the dataset.

    Raises:
        DatasetError: if the folder is no dataset, has another format version, or its metadata are damaged.
    """

    def __init__(self, root: str | Path, *, cache_dir: str | Path | None = None) -> None:
        self.root = Path(root)
        self._cache_override = Path(cache_dir) if cache_dir is not None else None
        self._cameras: dict[str, Camera] = {}
        self._load()

    def refresh(self) -> int:
        """See episodes that were committed since; what was read before stays valid.

        Returns:
            How many episodes are new.
        """
        before = self.num_episodes
        self.close()
        for name in ("_home", "_columns", "_parts", "stats"):
            self.__dict__.pop(name, None)
        self._load()
        return self.num_episodes - before

    def _load(self) -> None:
        self.info: DatasetInfo = read_info(self.root)
        """What ``meta/info.json`` says."""
        self.episodes: EpisodeTable = read_episodes(self.root, self.info)
        """The committed episodes."""
        has_tasks = self.info.total_episodes or (self.root / "meta" / "tasks.parquet").exists()
        self.tasks: tuple[str, ...] = read_tasks(self.root) if has_tasks else ()
        """Task texts by ``task_index``."""

    @property
    def features(self) -> dict[str, FeatureInfo]:
        """Every feature, the automatic columns included."""
        return self.info.features

    @property
    def fps(self) -> float:
        """Nominal rate [Hz]."""
        return self.info.fps

    @property
    def num_episodes(self) -> int:
        """Committed episodes."""
        return len(self.episodes)

    @property
    def num_frames(self) -> int:
        """Committed frames: rows of every column."""
        return self.episodes.num_rows

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Image and video features."""
        return tuple(name for name, feature in self.features.items() if feature.is_camera)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Numeric features: everything that :meth:`column` gives."""
        return tuple(name for name, feature in self.features.items() if feature.is_numeric)

    @cached_property
    def stats(self) -> dict[str, dict[str, np.ndarray]]:
        """Statistics by feature and name (min, max, mean, std, count, quantiles); empty when there are none."""
        return read_stats(self.root)

    def column(self, name: str) -> Column:
        """A numeric feature of every frame, memory-mapped.

        Args:
            name: the feature; its array has shape ``(num_frames, *shape)``, the automatic columns ``(num_frames,)``.

        Raises:
            UnknownNameError: if there is no such numeric feature.
            DatasetError: if a data file is damaged (found when the first column is asked for).
        """
        require_name("column", name, self.column_names, where=self.root)
        return self._columns[name]

    def texts(self, name: str, rows: np.ndarray) -> list[str]:
        """Values of a string feature.

        Args:
            name: the feature.
            rows: rows of the dataset, shape ``(n,)``.
        """
        valid = [n for n, feature in self.features.items() if feature.dtype == "string"]
        require_name("text feature", name, valid, where=self.root)
        wanted = {int(row) for row in rows}
        found = self._steadily(lambda: _texts_of(self._parts, name, wanted))
        return [found[int(row)] for row in rows]

    def task_texts(self, rows: np.ndarray) -> list[str]:
        """The task of each row, for rows of shape ``(n,)``."""
        return [self.tasks[i] for i in self.column("task_index").take(np.asarray(rows))]

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Images of some rows.

        Args:
            camera: an image or video feature.
            rows: rows of the dataset, shape ``(n,)``.

        Returns:
            uint8 RGB of shape ``(n, height, width, channels)``.

        Raises:
            UnknownNameError: if there is no such camera.
            DatasetError, VideoError: if a file is damaged; file and row are named.
        """
        return self.camera(camera).read(np.asarray(rows))

    def camera(self, name: str) -> Camera:
        """What gives the frames of one camera."""
        require_name("camera", name, self.camera_names, where=self.root)
        if name not in self._cameras:
            self._cameras[name] = self._steadily(lambda: self._decoding_camera(name))
        return self._cameras[name]

    def cache_frames(
        self, cameras: tuple[str, ...], budget_bytes: int, progress: Callable[[int, int], None] | None = None
    ) -> tuple[str, ...]:
        """Decode cameras once into raw memory-mapped frames, as far as the budget and the disk allow.

        Args:
            cameras: which, the most important first.
            budget_bytes: largest size of all these caches together.
            progress: called with frames done and frames in all, for each camera.

        Returns:
            The cameras that are now read from a cache; the others go on being decoded where they are asked for.
        """
        cached = []
        for name in cameras:
            shape = self.camera(name).shape
            if self.num_frames and fits(self._home, shape, self.num_frames, budget_bytes):
                self._cameras[name] = self._steadily(lambda name=name: self._cached_camera(name, progress))
                budget_bytes -= self.num_frames * int(np.prod(shape))
                cached.append(name)
        return tuple(cached)

    def episode(self, index: int) -> EpisodeView:
        """One episode.

        Raises:
            DatasetError: if there is no such episode.
        """
        if not 0 <= index < self.num_episodes:
            raise DatasetError(
                "there is no such episode", where=self.root, got=index, expected=f"0 to {self.num_episodes - 1}"
            )
        return EpisodeView(self, index, int(self.episodes.start[index]), int(self.episodes.length[index]))

    def require_episodes(self) -> None:
        """Refuse an empty dataset.

        Raises:
            DatasetError: if no episode was committed.
        """
        if not self.num_episodes:
            raise DatasetError(
                "the dataset has no episodes",
                where=self.root,
                remedy="record some, or run `robot-stack data repair` if a recording was interrupted",
            )

    def close(self) -> None:
        """Close video files; memory-mapped arrays handed out before stay valid."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Dataset({str(self.root)!r}: {self.num_episodes} episodes, {self.num_frames} frames at {self.fps:g} Hz)"

    @cached_property
    def _home(self) -> Path:
        return cache_home(self.root, self._cache_override)

    @cached_property
    def _parts(self) -> tuple[DataPart, ...]:
        return data_parts(self.root, self.info, self.episodes)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        features = [self.features[name] for name in self.column_names]
        return self._steadily(lambda: open_columns(self.root, self._home, features, self._parts))

    def _steadily(self, read: Callable[[], T]) -> T:
        """Read; and again if it failed because a writer replaced files meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                return read()
            except (DatasetError, VideoError) as error:
                if self._moved() is None and not isinstance(error, FilesChanged):
                    raise
        return read()

    def _moved(self) -> EpisodeTable | None:
        """The same episodes in their new places if a writer has joined files since they were read, else ``None``."""
        now = read_episodes(self.root, self.info)
        if now.same_places(self.episodes):
            return None
        self.episodes = now
        self.__dict__.pop("_parts", None)
        return now

    def _cached_camera(self, name: str, progress: Callable[[int, int], None] | None) -> Camera:
        camera = self._decoding_camera(name)
        try:
            return open_frame_cache(self.root, self._home, name, camera, self._frame_sources(name), progress)
        finally:
            camera.close()

    def _decoding_camera(self, name: str) -> ImageCamera | VideoCamera:
        feature = self.features[name]
        if feature.dtype == "image":
            return ImageCamera(self.root, self._home, feature, self._parts)
        times = self.column("timestamp")
        return VideoCamera(self.root, self.info, feature, self.episodes, times, self._home, self._moved)

    def _frame_sources(self, name: str) -> list[SourceFile]:
        """The files that a camera's frames come from, in row order."""
        camera = self._decoding_camera(name)
        if isinstance(camera, ImageCamera):
            return [describe_source(self.root, part.path, part.rows, str(part.first_row)) for part in self._parts]
        place = self.episodes.videos[name]
        sources: list[tuple[Path, int, list[str]]] = []
        for episode in range(self.num_episodes):
            path, length = camera.path(episode), int(self.episodes.length[episode])
            begin = f"{float(place.from_timestamp[episode])!r}+{length}"
            if sources and sources[-1][0] == path:
                sources[-1] = (path, sources[-1][1] + length, [*sources[-1][2], begin])
            else:
                sources.append((path, length, [begin]))
        digest = [hashlib.blake2b(" ".join(begins).encode(), digest_size=16).hexdigest() for _, _, begins in sources]
        return [describe_source(self.root, path, rows, d) for (path, rows, _), d in zip(sources, digest, strict=True)]


@dataclass(frozen=True)
class EpisodeView:
    """One episode of a dataset, read where it is asked for."""

    dataset: Dataset
    """The dataset."""

    index: int
    """Number of the episode."""

    start: int
    """Its first row."""

    length: int
    """Its frames."""

    @property
    def rows(self) -> np.ndarray:
        """Its rows, shape ``(length,)``."""
        return np.arange(self.start, self.start + self.length)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that occur in it."""
        indices = np.unique(self.column("task_index"))
        return tuple(self.dataset.tasks[int(i)] for i in indices)

    @property
    def facts(self) -> dict[str, Any]:
        """Everything noted about the episode: places in files, tasks, provenance columns."""
        return self.dataset.episodes.row(self.index)

    def column(self, name: str) -> np.ndarray:
        """A numeric feature, shape ``(length, *shape)``; do not write to it."""
        return self.dataset.column(name).slice(self.start, self.start + self.length)

    def frames(self, camera: str) -> np.ndarray:
        """All images of one camera, uint8 of shape ``(length, height, width, channels)``."""
        return self.dataset.frames(camera, self.rows)


def _texts_of(parts: tuple[DataPart, ...], name: str, wanted: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in parts:
        if not any(part.first_row <= row < part.first_row + part.rows for row in wanted):
            continue
        row = part.first_row
        with open_parquet(part.path) as parquet:
            if name not in parquet.schema_arrow.names:
                raise UnknownNameError("column", name, parquet.schema_arrow.names, where=part.path)
            for batch in read_batches(parquet, part.path, [name], 8192):
                column = batch.column(0)
                for i in range(batch.num_rows):
                    if row + i in wanted:
                        found[row + i] = column[i].as_py()
                row += batch.num_rows
    return found
