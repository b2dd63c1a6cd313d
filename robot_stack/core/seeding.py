"""Seeds for collection, training and evaluation that never overlap."""

from __future__ import annotations

from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError

Split = Literal["collect", "train", "validation", "held_out"]

_SPLIT_SIZE = 100_000_000
_OFFSETS: dict[str, int] = {"collect": 0, "train": 1, "validation": 2, "held_out": 3}


def episode_seed(split: Split, index: int, *, stream: int = 0) -> int:
    """The seed of one episode: different splits, streams and indices never share one.

    Args:
        split: what the episode is for; ``"held_out"`` seeds are never seen in collection.
        index: number of the episode, below 1,000,000.
        stream: number of the run, below 100 (a study's repetitions).

    Returns:
        A seed below 2**31.
    """
    if not 0 <= index < 1_000_000 or not 0 <= stream < 100:
        raise ConfigError("an episode seed is out of range", got=(index, stream), expected="index < 1e6, stream < 100")
    return _OFFSETS[split] * _SPLIT_SIZE + stream * 1_000_000 + index


def generator(seed: int, *path: int) -> np.random.Generator:
    """An independent generator for ``(seed, path)``: equal arguments give equal numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *path])))
