"""Regions of the sequential Barnard test are computed once for each user and kept as .npz files.

They lie in ``$XDG_CACHE_HOME/robot_stack/sequential_barnard`` (``~/.cache`` without that variable). A file that is
damaged, foreign or unreadable is computed again; a folder that cannot be written only costs the time.
"""

from __future__ import annotations

import contextlib
import functools
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import StorageError
from robot_stack.evaluation.statistics.barnard_regions import Regions, build_regions
from robot_stack.evaluation.statistics.nuisance import Maximum

FORMAT = 1
"""Changes whenever the same parameters would give other regions, so that old files are not taken."""


def cache_folder() -> Path:
    """Where the regions are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "robot_stack" / "sequential_barnard"


@functools.lru_cache(maxsize=64)
def cached_regions(n_max: int, alpha: float, spending: float = 1.0, folder: Path | None = None) -> Regions:
    """The regions from memory, else from the file, else computed and written.

    Args:
        n_max: largest number of pairs, 1 to 1000.
        alpha: bound of the error rate, one-sided.
        spending: exponent of the risk that may be spent by pair t.
        folder: where the files are, if not in :func:`cache_folder`.

    Raises:
        ConfigError: if a parameter is out of range.
    """
    path = (folder or cache_folder()) / f"v{FORMAT}-n{n_max}-a{alpha!r}-s{spending!r}.npz"
    regions = load_regions(path, n_max, alpha, spending)
    if regions is None:
        regions = build_regions(n_max, alpha, spending)
        with contextlib.suppress(StorageError, OSError):
            save_regions(path, regions)
    return regions


def save_regions(path: Path, regions: Regions) -> None:
    """Write the regions atomically.

    Raises:
        StorageError: if the file system refuses.
    """
    size = regions.size
    numbers = np.array([FORMAT, regions.n_max, regions.alpha, regions.spending, size.value, size.at, size.bound])
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, thresholds=regions.thresholds, numbers=numbers)


def load_regions(path: Path, n_max: int, alpha: float, spending: float) -> Regions | None:
    """Read the regions; ``None`` if there are none for these parameters in the file, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            thresholds, numbers = file["thresholds"], file["numbers"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    if numbers.shape != (7,) or tuple(numbers[:4]) != (FORMAT, n_max, alpha, spending):
        return None
    if not _well_formed(thresholds, n_max) or not numbers[6] <= alpha:
        return None
    return Regions(n_max, alpha, spending, thresholds, Maximum(*(float(x) for x in numbers[4:])))


def _well_formed(thresholds: NDArray[np.int16], n_max: int) -> bool:
    """Whether these are monotone regions: more successes of the first never need fewer of the second."""
    if thresholds.shape != (n_max + 1, n_max + 1) or thresholds.dtype != np.int16:
        return False
    return all(bool((np.diff(thresholds[t, : t + 1]) >= 0).all()) for t in range(n_max + 1))
