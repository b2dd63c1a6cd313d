"""Episodes whose every value is known from a seed, so that two writers can be given the same data.

NumPy only: this file is imported by robot_stack's side of the check and by LeRobot's side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

FPS = 10
TASKS = ("push the red block", "open the drawer", "reach — as far as possible")
LENGTHS = (13, 2, 11, 17, 30)
IMAGE = "observation.images.wrist"
VIDEO = "observation.images.front"


class KnownEpisodes:
    """Five short episodes with vectors, matrices, scalars, flags, text, a PNG camera and a video camera.

    Args:
        seed: everything follows from it.
        size: side of the square images [pixel].
        cameras: which cameras to include.
        num_episodes: only the first so many.
    """

    def __init__(
        self,
        seed: int = 7,
        size: int = 64,
        cameras: tuple[str, ...] = (IMAGE, VIDEO),
        num_episodes: int = len(LENGTHS),
    ) -> None:
        self.seed = seed
        self.size = size
        self.cameras = cameras
        self.num_episodes = num_episodes

    def features(self) -> dict[str, dict[str, Any]]:
        """Feature descriptions in the form of LeRobot's info.json."""
        image = {"shape": (self.size, self.size, 3), "names": ["height", "width", "channels"]}
        cameras = {IMAGE: {"dtype": "image", **image}, VIDEO: {"dtype": "video", **image}}
        return {
            "observation.state": {"dtype": "float32", "shape": (5,), "names": [f"joint_{i}" for i in range(5)]},
            "observation.matrix": {"dtype": "float32", "shape": (2, 3), "names": None},
            "observation.count": {"dtype": "int64", "shape": (1,), "names": None},
            "observation.pair": {"dtype": "float64", "shape": (2,), "names": None},
            "action": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
            "next.done": {"dtype": "bool", "shape": (1,), "names": None},
            "note": {"dtype": "string", "shape": (1,), "names": None},
            **{name: cameras[name] for name in self.cameras},
        }

    def frames(self, episode: int) -> Iterator[dict[str, Any]]:
        """The frames of one episode in order, each a dictionary for ``add_frame`` (with its ``"task"``)."""
        rng = np.random.default_rng([self.seed, episode])
        length = LENGTHS[episode]
        for t in range(length):
            frame: dict[str, Any] = {
                "observation.state": rng.normal(size=5).astype(np.float32),
                "observation.matrix": rng.normal(size=(2, 3)).astype(np.float32),
                "observation.count": np.array([rng.integers(-1000, 1000)], dtype=np.int64),
                "observation.pair": rng.normal(size=2),
                "action": rng.uniform(-1, 1, size=3).astype(np.float32),
                "next.done": np.array([t == length - 1]),
                "note": f"episode {episode} step {t} — ünïcode",
                "task": TASKS[episode % len(TASKS)],
            }
            for name in self.cameras:
                frame[name] = self._image(episode, t, phase=0.0 if name == IMAGE else 1.3)
            yield frame

    def _image(self, episode: int, t: int, phase: float) -> np.ndarray:
        """Moving bands with a bright square whose place tells episode and step."""
        y, x = np.mgrid[0 : self.size, 0 : self.size] / self.size
        channels = [np.sin(6 * x + 0.3 * t + phase + c) * np.cos(4 * y - 0.2 * t + episode) for c in range(3)]
        image = (127.5 + 90 * np.stack(channels, axis=-1)).astype(np.uint8) & 0xE0
        side = max(self.size // 6, 1)
        row, column = (5 * t) % (self.size - side), (11 * episode + 3 * t) % (self.size - side)
        image[row : row + side, column : column + side] = (255, 40 * (episode % 6), (9 * t) % 256)
        return image
