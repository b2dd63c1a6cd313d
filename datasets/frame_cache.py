"""Raw frames of a camera in one memory-mapped file, for data that is read many times over."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from robot_stack.datasets.cache_store import ArrayFile, Inherited, SourceFile, open_generation
from robot_stack.datasets.columns import Column

_BATCH_BYTES = 32 << 20
_KEEP_FREE_BYTES = 10**10


class Camera(Protocol):
    """Gives frames by row of the dataset."""

    shape: tuple[int, int, int]
    """``(height, width, channels)``."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 frames of shape ``(n, height, width, channels)`` for rows of shape ``(n,)``."""
        ...

    def close(self) -> None:
        """Close files."""
        ...


class CachedCamera:
    """Frames from a raw cache.

    Args:
        path: ``.npy`` file of shape ``(rows, height, width, channels)``.
    """

    def __init__(self, path: Path) -> None:
        self._column = Column(path)
        height, width, channels = self._column.array.shape[1:]
        self.shape = (int(height), int(width), int(channels))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Copy frames; see :class:`Camera`."""
        return self._column.take(rows)

    def close(self) -> None:
        """Nothing to close; the memory map goes with the object."""


def fits(home: Path, shape: tuple[int, int, int], rows: int, budget_bytes: int) -> bool:
    """Whether a camera's raw frames fit the budget and leave 10 GB, or a tenth, of the disk free.

    Args:
        home: folder for caches.
        shape: of one frame.
        rows: frames.
        budget_bytes: largest size of the cache.
    """
    need = rows * int(np.prod(shape))
    if need > budget_bytes:
        return False
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), Path("/"))
    disk = shutil.disk_usage(existing)
    return disk.free - need > min(_KEEP_FREE_BYTES, disk.total // 10)


def open_frame_cache(
    root: Path,
    home: Path,
    name: str,
    camera: Camera,
    sources: list[SourceFile],
    progress: Callable[[int, int], None] | None = None,
) -> CachedCamera:
    """The raw frames of a camera, decoded now if no cache has them.

    Args:
        root: folder of the dataset.
        home: folder for caches.
        name: the camera's feature.
        camera: decodes them.
        sources: the files the frames come from, in row order.
        progress: called with frames done and frames in all.

    Raises:
        DatasetError, VideoError: if a file is damaged.
        StorageError: if the cache cannot be written.
    """
    total = sum(source.rows for source in sources)
    step = max(1, _BATCH_BYTES // int(np.prod(camera.shape)))

    def build(folder: Path, inherited: Inherited | None) -> None:
        file = ArrayFile(folder / "frames.npy", np.dtype(np.uint8), camera.shape)
        try:
            if inherited is not None:
                file.copy_rows(inherited.folder / "frames.npy", inherited.rows)
            while file.rows < total:
                file.append(camera.read(np.arange(file.rows, min(file.rows + step, total))))
                if progress is not None:
                    progress(file.rows, total)
        finally:
            file.close()

    safe_name = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    layout = f"1 {name} {camera.shape}"
    return CachedCamera(open_generation(home / "frames" / safe_name, layout, root, sources, build) / "frames.npy")
