"""The features of a dataset: made from an embodiment, written to and compared with ``meta/info.json``.

Standard columns: ``observation.state`` and ``action`` (what was sent) as flat float32 vectors, ``action.requested``,
``observation.time`` (measured), ``next.reward``, ``next.success``, ``next.done``, one feature a camera, and the five
columns that LeRobot adds to every dataset.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError, require_name
from robot_stack.datasets.layout import DATA_FILE_MB, DATA_PATH, FILES_PER_CHUNK, VIDEO_FILE_MB, VIDEO_PATH
from robot_stack.datasets.metadata import AUTOMATIC_COLUMNS, READABLE_VERSION, FeatureInfo

Feature = FeatureInfo
Storage = Literal["video", "image"]

IMAGE_PREFIX = "observation.images."
DEFAULTS = ("action.requested", "observation.time", "next.reward", "next.success", "next.done")
"""Columns that a frame may leave out."""


def dataset_features(embodiment: Embodiment, *, storage: Storage = "video") -> dict[str, Feature]:
    """The features of datasets recorded with an embodiment, cameras and automatic columns included.

    Args:
        embodiment: of the robot.
        storage: how cameras are kept: as video files, or as PNG pictures in the rows.
    """
    out: list[Feature] = []
    if embodiment.state_size:
        out.append(Feature("observation.state", "float32", (embodiment.state_size,), list(embodiment.state_names)))
    names = list(embodiment.action_names)
    out.append(Feature("action", "float32", (embodiment.action_size,), names))
    out.append(Feature("action.requested", "float32", (embodiment.action_size,), names))
    out.append(Feature("observation.time", "float64", (1,)))
    out.append(Feature("next.reward", "float32", (1,)))
    out += [Feature(name, "bool", (1,)) for name in ("next.success", "next.done")]
    for camera in embodiment.cameras:
        out.append(Feature(IMAGE_PREFIX + camera.name, storage, camera.shape, ["height", "width", "channels"]))
    return with_automatic({feature.name: feature for feature in out})


def with_automatic(features: dict[str, Feature]) -> dict[str, Feature]:
    """Features with the columns that every LeRobotDataset has."""
    out = {name: feature for name, feature in features.items() if name not in AUTOMATIC_COLUMNS}
    for name in AUTOMATIC_COLUMNS:
        out[name] = Feature(name, "float32" if name == "timestamp" else "int64", (1,))
    return out


def check_features(features: dict[str, Feature]) -> None:
    """Refuse features that cannot be stored.

    Raises:
        ConfigError: naming the feature.
    """
    for name, feature in features.items():
        if "/" in name or not name:
            raise ConfigError("a feature needs a name without slashes", got=repr(name))
        if feature.dtype in ("image", "video"):
            if len(feature.shape) != 3 or feature.image_shape[2] not in (1, 3):
                raise ConfigError(f"the camera {name!r} needs the shape (height, width, 3)", got=feature.shape)
        elif feature.dtype == "string":
            continue
        elif np.dtype(feature.dtype).kind not in "fiub":
            raise ConfigError(f"the feature {name!r} has a type that cannot be stored", got=feature.dtype)
        if not feature.shape or any(n < 1 for n in feature.shape):
            raise ConfigError(f"the feature {name!r} has an impossible shape", got=feature.shape)


def new_info(features: dict[str, Feature], fps: float, robot_type: str) -> dict[str, Any]:
    """``meta/info.json`` of a dataset without episodes, with LeRobot's keys in LeRobot's order."""
    check_features(features)
    if not (np.isfinite(fps) and fps > 0):
        raise ConfigError("a dataset needs a positive frame rate", got=fps)
    has_video = any(feature.dtype == "video" for feature in features.values())
    return {
        "codebase_version": READABLE_VERSION,
        "robot_type": robot_type,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": int(fps) if float(fps).is_integer() else float(fps),
        "splits": {},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if has_video else None,
        "features": {name: feature_entry(feature) for name, feature in features.items()},
    }


def feature_entry(feature: Feature) -> dict[str, Any]:
    """One feature as info.json has it."""
    return {"dtype": feature.dtype, "shape": list(feature.shape), "names": feature.names}


def feature_differences(mine: dict[str, Feature], theirs: dict[str, Feature]) -> list[str]:
    """How the features of a dataset differ from the wanted ones, in sentences; empty when they agree."""
    out = [f"the feature {name!r} is missing" for name in mine if name not in theirs]
    out += [f"the feature {name!r} was not expected" for name in theirs if name not in mine]
    for name, feature in mine.items():
        other = theirs.get(name)
        if other is None:
            continue
        if (feature.dtype, feature.shape) != (other.dtype, other.shape):
            out.append(
                f"the feature {name!r} is {other.dtype} of shape {other.shape}, "
                f"expected {feature.dtype} of shape {feature.shape}"
            )
        elif feature.names != other.names:
            out.append(f"the numbers of {name!r} are called {other.names}, expected {feature.names}")
    return out


def row_dtype(features: dict[str, Feature]) -> np.dtype:
    """One frame's numbers (no automatic columns, no cameras, no texts) as a packed NumPy record."""
    fields = [
        (feature.name, feature.numpy_dtype.newbyteorder("<"), feature.shape if feature.shape != (1,) else ())
        for feature in features.values()
        if feature.is_numeric and feature.name not in AUTOMATIC_COLUMNS
    ]
    return np.dtype(fields)


def camera_features(features: dict[str, Feature]) -> list[Feature]:
    """The cameras, in order."""
    return [feature for feature in features.values() if feature.is_camera]


def frame_rate(fps: float) -> Fraction:
    """A rate as the fraction that video files carry: 29.97 becomes 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def require_storage(storage: str) -> Storage:
    """Return ``storage`` if it is one.

    Raises:
        UnknownNameError: if it is not.
    """
    require_name("image storage", storage, ("video", "image"))
    return "video" if storage == "video" else "image"


def require_writable(info: dict[str, Any], where: object) -> None:
    """Refuse to append to a dataset whose features this writer cannot produce.

    Raises:
        DatasetError: naming the features.
    """
    texts = [name for name, entry in info["features"].items() if entry["dtype"] == "string"]
    if texts:
        raise DatasetError("text features cannot be appended to", where=str(where), got=texts)
