"""Making whole episodes ready to be committed: from arrays in memory, or from a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.datasets.journal import JournalPictures, JournalReader, encode_png
from robot_stack.datasets.metadata import FeatureInfo
from robot_stack.datasets.stats import PictureStats
from robot_stack.datasets.store import PendingEpisode
from robot_stack.datasets.video_writer import VideoCodec, VideoWriter


def from_arrays(
    columns: dict[str, np.ndarray],
    images: Mapping[str, np.ndarray],
    features: Mapping[str, FeatureInfo],
    instruction: str,
    facts: Mapping[str, Any],
    staging: Path,
    fps: Fraction,
    codec: VideoCodec,
) -> PendingEpisode:
    """An episode whose frames are in memory; videos are encoded into the folder ``staging``.

    Raises:
        VideoError, StorageError: if a camera cannot be encoded.
    """
    episode = PendingEpisode(columns, (instruction,), facts)
    pictures, videos, stats = {}, {}, {}
    try:
        for name, frames in images.items():
            if features[name].dtype == "image":
                pictures[name], stats[name] = encode_pictures(frames)
            else:
                path = staging / f"{id(episode):x}-{len(videos)}.mp4"
                videos[name], stats[name] = path, encode_video(path, frames, features[name], fps, codec)
    except BaseException:
        for path in videos.values():
            path.unlink(missing_ok=True)
        raise
    episode.pictures, episode.videos, episode.camera_stats = pictures, videos, stats
    return episode


def encode_pictures(frames: Iterable[np.ndarray]) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """PNG of each frame, and their statistics."""
    data, stats = [], None
    for image in frames:
        stats = stats or PictureStats(image.shape[2])
        stats.add(image)
        data.append(encode_png(image))
    return data, stats.result() if stats else {}


def encode_video(
    path: Path, frames: Iterable[np.ndarray], feature: FeatureInfo, fps: Fraction, codec: VideoCodec
) -> dict[str, np.ndarray]:
    """Encode frames to a file and give their statistics; on an error no file is left.

    Raises:
        VideoError, StorageError: if that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, feature.image_shape, fps, codec)
    try:
        for image in frames:
            writer.add(image)
        writer.close()
    except BaseException:
        writer.abort()
        raise
    return writer.stats.result()


def from_journal(
    journal: JournalReader,
    frames: int,
    features: Mapping[str, FeatureInfo],
    facts: Mapping[str, Any],
    fps: Fraction,
    codec: VideoCodec,
    *,
    done: Callable[[str], tuple[Path, dict[str, np.ndarray]] | None] = lambda name: None,
) -> PendingEpisode:
    """The first frames of a journal as an episode.

    Args:
        journal: stays open until the episode is committed.
        frames: how many.
        features: of the dataset.
        facts: provenance.
        fps: of the dataset.
        codec: how videos are encoded.
        done: gives the finished video and statistics of a camera that was encoded while recording.

    Raises:
        VideoError, StorageError: if a camera cannot be encoded.
    """
    rows = journal.rows()[:frames]
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    episode = PendingEpisode(columns, (journal.header.instruction,), facts)
    pictures, videos, stats = {}, {}, {}
    for i, camera in enumerate(journal.header.cameras):
        images = (journal.image(k, i) for k in range(frames))
        if features[camera.name].dtype == "image":
            pictures[camera.name] = JournalPictures(journal, i, frames)
            stats[camera.name] = _picture_stats(images, camera.shape[2])
            continue
        finished = done(camera.name)
        if finished is None:
            path = journal.path.with_suffix(f".{i}.mp4")
            finished = path, encode_video(path, images, features[camera.name], fps, codec)
        videos[camera.name], stats[camera.name] = finished
    episode.pictures, episode.videos, episode.camera_stats = pictures, videos, stats
    return episode


def _picture_stats(images: Iterable[np.ndarray], channels: int) -> dict[str, np.ndarray]:
    stats = PictureStats(channels)
    for image in images:
        stats.add(image)
    return stats.result()
