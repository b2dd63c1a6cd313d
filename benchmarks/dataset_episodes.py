"""The episodes of the dataset benchmarks, the same for robot_stack and for LeRobot. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

FPS = 10
EPISODES = 10
STEPS = 100
STATE, ACTION, SIZE = 14, 7, 96
CAMERA = "observation.images.top"
TASK = "push the block to the goal"
N_OBS, HORIZON, N_ACTION_STEPS, BATCH = 2, 16, 8, 64


def features(kind: str) -> dict[str, dict[str, Any]]:
    """Features of a dataset of ``kind`` lowdim, image or video, as in LeRobot's info.json."""
    out: dict[str, dict[str, Any]] = {
        "observation.state": {"dtype": "float32", "shape": (STATE,), "names": None},
        "action": {"dtype": "float32", "shape": (ACTION,), "names": None},
    }
    if kind != "lowdim":
        out[CAMERA] = {"dtype": kind, "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]}
    return out


def episode(index: int, kind: str) -> Iterator[dict[str, np.ndarray]]:
    """The frames of one episode: smooth motion, and a moving pattern with sensor noise for the camera."""
    rng = np.random.default_rng([17, index])
    time = np.arange(STEPS)[:, None] / FPS
    state = np.sin(time * rng.uniform(0.2, 2, STATE) + rng.uniform(0, 6, STATE)).astype(np.float32)
    action = np.diff(state[:, :ACTION], axis=0, append=state[-1:, :ACTION]).astype(np.float32)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    for t in range(STEPS):
        frame = {"observation.state": state[t], "action": action[t]}
        if kind != "lowdim":
            waves = [np.sin(9 * x + 0.2 * t + c) * np.cos(7 * y - 0.1 * t + index) for c in range(3)]
            clean = 127 + 90 * np.stack(waves, axis=-1) + rng.normal(0, 3, (SIZE, SIZE, 3))
            frame[CAMERA] = np.clip(clean, 0, 255).astype(np.uint8)
        yield frame
