"""Several datasets of one robot become one."""

from __future__ import annotations

from pathlib import Path

from robot_stack.core.errors import ConfigError, DatasetError, EmbodimentMismatchError
from robot_stack.datasets.assemble import Piece, Progress, assemble
from robot_stack.datasets.schema import feature_differences
from robot_stack.datasets.source import Source


def merge(roots: list[Path], out: str | Path, *, progress: Progress | None = None) -> Path:
    """Write one dataset with every episode of several, in order; tasks with the same text become one.

    Args:
        roots: two folders or more.
        out: the new folder; must not exist, or be empty.
        progress: called with episodes done and episodes in all.

    Raises:
        EmbodimentMismatchError: if a dataset is of another robot than the first, with every difference.
        DatasetError: if features differ, or a dataset is damaged.
        ConfigError: if fewer than two are given, or one twice.
    """
    if len(roots) < 2:
        raise ConfigError("merging needs two datasets or more", got=[str(root) for root in roots])
    resolved = [root.resolve() for root in roots]
    if len(set(resolved)) != len(resolved):
        raise ConfigError("a dataset is named twice", got=[str(root) for root in roots])
    sources = [Source(root) for root in roots]
    for other in sources[1:]:
        require_alike(sources[0], other)
    return assemble([Piece(s, tuple(range(len(s.table)))) for s in sources], out, progress=progress)


def require_alike(first: Source, other: Source) -> None:
    """Refuse datasets of different robots or with different features.

    Raises:
        EmbodimentMismatchError: with every difference between the robots.
        DatasetError: with every difference between the features.
    """
    if first.embodiment is not None and other.embodiment is not None:
        differences = first.embodiment.diff(other.embodiment)
        if differences:
            raise EmbodimentMismatchError(
                f"{other.root} is of another embodiment than {first.root}", differences, where=other.root
            )
    features = feature_differences(first.info.features, other.info.features)
    if first.info.fps != other.info.fps:
        features.append(f"it has {other.info.fps:g} frames a second, expected {first.info.fps:g}")
    if first.info.robot_type != other.info.robot_type:
        features.append(f"the robot is {other.info.robot_type!r}, expected {first.info.robot_type!r}")
    if features:
        raise DatasetError(
            f"{other.root} does not fit {first.root}",
            where=other.root,
            got="".join(f"\n    - {line}" for line in features),
            remedy="merge datasets of one robot, recorded with the same columns, cameras and rate",
        )
