"""The known episodes as robot_stack records them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from known_episodes import FPS, LENGTHS, TASKS, KnownEpisodes

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.schema import IMAGE_PREFIX, Storage
from robot_stack.datasets.writer import DatasetWriter

CAMERA = "front"


def embodiment(size: int) -> Embodiment:
    """A robot with the known episodes' state and action, and one camera."""
    return Embodiment(
        name="known",
        state=(Field("joints", 5, "rad", names=tuple(f"joint_{i}" for i in range(5))),),
        action=(Field("hand", 3, "m", names=("x", "y", "z")),),
        cameras=(CameraSpec(CAMERA, size, size),),
        control_hz=float(FPS),
    )


def episodes(known: KnownEpisodes) -> list[list[dict[str, np.ndarray]]]:
    """The known episodes in the features that robot_stack records, every column given."""
    out = []
    for episode in range(known.num_episodes):
        rng = np.random.default_rng([known.seed, episode, 1])
        frames = []
        for t, frame in enumerate(known.frames(episode)):
            last = t == LENGTHS[episode] - 1
            frames.append(
                {
                    "observation.state": frame["observation.state"],
                    "action": frame["action"],
                    "action.requested": frame["action"] + rng.normal(size=3).astype(np.float32),
                    "observation.time": np.array([t / FPS + rng.uniform(0, 0.02)]),
                    "next.reward": rng.normal(size=1).astype(np.float32),
                    "next.success": np.array([last and episode % 2 == 0]),
                    "next.done": np.array([last]),
                    IMAGE_PREFIX + CAMERA: frame[IMAGE_PREFIX + CAMERA],
                }
            )
        out.append(frames)
    return out


def record(root: Path, known: KnownEpisodes, storage: Storage, *, join_files: bool = True) -> None:
    """Record frame by frame in two sessions, so that files are joined and a dataset is continued.

    Args:
        root: folder to create.
        known: the episodes.
        storage: cameras as video files or as PNG images.
        join_files: whether closing joins the files of the episodes; without, it is as after a crash.
    """
    everything = episodes(known)
    for session in (range(2), range(2, known.num_episodes)):
        writer = DatasetWriter(root, embodiment(known.size), storage=storage)
        for episode in session:
            writer.begin(TASKS[episode % len(TASKS)], provenance={"operator": "Ada", "seed": episode})
            for frame in everything[episode]:
                writer.add(frame)
            writer.commit()
        writer.close(join_files=join_files)
