"""A small robot and reproducible episodes of it, for tests of writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter

CAMERA = CameraSpec("top", 32, 48)
KEY = "observation.images.top"
FAST = VideoCodec(encoder="libx264", crf=10, preset="ultrafast", threads=1)


def arm(*, cameras: tuple[CameraSpec, ...] = (), rate: float = 10.0, name: str = "test/arm") -> Embodiment:
    """A robot with four numbers of state and two of action."""
    return Embodiment(name, (Field("q", 3, "rad"), Field("grip", 1, "m")), (Field("dq", 2, "rad/s"),), cameras, rate)


def length_of(episode: int) -> int:
    """Frames of the reproducible episode."""
    return 3 + (episode * 7) % 11


def numbers(episode: int) -> dict[str, np.ndarray]:
    """The columns of the reproducible episode, in the types that the dataset has."""
    rng = np.random.default_rng(episode + 1)
    n = length_of(episode)
    return {
        "observation.state": rng.normal(size=(n, 4)).astype(np.float32),
        "action": rng.normal(size=(n, 2)).astype(np.float32),
        "action.requested": rng.normal(size=(n, 2)).astype(np.float32),
        "observation.time": np.sort(rng.uniform(0, n / 10, size=n)),
        "next.reward": rng.normal(size=n).astype(np.float32),
        "next.success": np.arange(n) >= (n - 1 if episode % 2 else n),
        "next.done": np.arange(n) == n - 1,
    }


def images(episode: int) -> np.ndarray:
    """Its pictures, uint8 of shape ``(frames, 32, 48, 3)``."""
    rng = np.random.default_rng(1000 + episode)
    flat = rng.integers(0, 256, size=(length_of(episode), 4, 6, 3))
    return np.repeat(np.repeat(flat, 8, axis=1), 8, axis=2).astype(np.uint8)


def frames(episode: int, *, camera: bool = False) -> list[dict[str, Any]]:
    """The reproducible episode, frame by frame."""
    columns = numbers(episode)
    out: list[dict[str, Any]] = [{k: v[i] for k, v in columns.items()} for i in range(length_of(episode))]
    if camera:
        for frame, image in zip(out, images(episode), strict=True):
            frame[KEY] = image
    return out


def record(writer: DatasetWriter, episode: int, *, camera: bool = False) -> int:
    """Record and commit the reproducible episode frame by frame."""
    writer.begin(f"task {episode % 3}", {"seed": episode})
    for frame in frames(episode, camera=camera):
        writer.add(frame)
    return writer.commit()


def write_some(root: Path, episodes: range, **settings: Any) -> None:
    """Record episodes in one session, without cameras."""
    with DatasetWriter(root, arm(), **settings) as writer:
        for episode in episodes:
            record(writer, episode)
