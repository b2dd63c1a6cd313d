"""Where the files of a LeRobotDataset v3.0 lie.

``data/chunk-000/file-000.parquet`` rows, ``videos/<feature>/chunk-000/file-000.mp4`` frames,
``meta/episodes/chunk-000/file-000.parquet`` one row an episode, ``meta/info.json``, ``meta/stats.json``,
``meta/tasks.parquet``, and, of robot_stack, ``meta/embodiment.json`` and ``.journal/`` for the episode being recorded.
Format: huggingface/lerobot 0.4, lerobot/datasets/utils.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB = 100
VIDEO_FILE_MB = 200


@dataclass(frozen=True, order=True)
class Place:
    """Chunk and file within it."""

    chunk: int
    """Number of the folder."""

    file: int
    """Number of the file in the folder."""

    def next(self, files_per_chunk: int = FILES_PER_CHUNK) -> Place:
        """The place after this one."""
        return Place(self.chunk + 1, 0) if self.file + 1 >= files_per_chunk else Place(self.chunk, self.file + 1)


def info_path(root: Path) -> Path:
    """``meta/info.json``."""
    return root / "meta" / "info.json"


def stats_path(root: Path) -> Path:
    """``meta/stats.json``."""
    return root / "meta" / "stats.json"


def tasks_path(root: Path) -> Path:
    """``meta/tasks.parquet``."""
    return root / "meta" / "tasks.parquet"


def embodiment_path(root: Path) -> Path:
    """``meta/embodiment.json``."""
    return root / "meta" / "embodiment.json"


def journal_folder(root: Path) -> Path:
    """Where the episode being recorded is kept until it is committed."""
    return root / ".journal"


def unsettled_path(root: Path) -> Path:
    """Exists while a writer has committed episodes and not closed; after an interruption it is still there."""
    return root / ".journal" / "unsettled"


def episodes_path(root: Path, place: Place) -> Path:
    """A file of the table of episodes."""
    return root / EPISODES_PATH.format(chunk_index=place.chunk, file_index=place.file)


def data_path(root: Path, place: Place, pattern: str = DATA_PATH) -> Path:
    """A file of rows."""
    return root / pattern.format(chunk_index=place.chunk, file_index=place.file)


def video_path(root: Path, key: str, place: Place, pattern: str = VIDEO_PATH) -> Path:
    """A video file of one camera."""
    return root / pattern.format(video_key=key, chunk_index=place.chunk, file_index=place.file)
