"""A whole episode in memory, checked as it grows; it can be pickled and sent to the process that writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import NonFiniteError, ShapeError, UnknownNameError
from robot_stack.datasets.metadata import FeatureInfo
from robot_stack.datasets.schema import camera_features, row_dtype


class RowChecker:
    """Turns a frame, a mapping from feature to value, into one packed row; refuses what must not be stored.

    Left out may be: ``action.requested`` (then what was sent), ``observation.time`` (then the nominal time),
    ``next.reward``, ``next.success`` and ``next.done`` (then 0 and false).

    Args:
        features: of the dataset.
        fps: nominal rate [Hz].
    """

    def __init__(self, features: Mapping[str, FeatureInfo], fps: float) -> None:
        self.dtype = row_dtype(dict(features))
        self.cameras = camera_features(dict(features))
        self._fps = fps
        self._fields = [(name, self.dtype[name].base, self.dtype[name].shape) for name in self.dtype.names or ()]
        self._known = {*(self.dtype.names or ()), *(camera.name for camera in self.cameras)}

    def fill(self, row: np.ndarray, frame: Mapping[str, Any], number: int) -> None:
        """Write a frame's numbers into a row.

        Args:
            row: a record array of shape ``(1,)``.
            frame: by feature.
            number: of the frame in the episode.

        Raises:
            NonFiniteError: on NaN or infinity, naming frame, feature and number.
            ShapeError: on a missing feature or another shape.
            UnknownNameError: on a feature that the dataset does not have.
        """
        for name in frame:
            if name not in self._known:
                raise UnknownNameError("feature", name, sorted(self._known), where=f"frame {number}")
        for name, kind, shape in self._fields:
            value = frame[name] if name in frame else self._default(name, frame, number)
            array = np.asarray(value)
            if array.shape != shape:
                if array.size != 1 or shape != ():
                    raise ShapeError(
                        f"the feature {name!r} has the wrong shape",
                        where=f"frame {number}",
                        got=array.shape,
                        expected=shape,
                    )
                array = array.reshape(())
            if array.dtype.kind not in "fiub":
                raise ShapeError(
                    f"the feature {name!r} is no number", where=f"frame {number}", got=array.dtype, expected=kind
                )
            with np.errstate(over="ignore", invalid="ignore"):
                row[name][0] = array
            if kind.kind == "f" and not np.isfinite(row[name][0]).all():
                raise NonFiniteError(
                    f"the feature {name!r} is not finite",
                    where=f"frame {number} of the episode",
                    got=f"number {int(np.flatnonzero(~np.isfinite(row[name][0].reshape(-1)))[0])} is "
                    f"{array.reshape(-1)[~np.isfinite(row[name][0].reshape(-1))][0]}",
                    remedy="find out which sensor or controller gave it; abort() drops this episode only",
                )

    def images(self, frame: Mapping[str, Any], number: int) -> list[np.ndarray]:
        """The images of a frame in the order of the cameras.

        Raises:
            ShapeError: if one is missing or of the wrong kind.
        """
        out = []
        for camera in self.cameras:
            image = frame.get(camera.name)
            if not isinstance(image, np.ndarray) or image.shape != camera.image_shape or image.dtype != np.uint8:
                got = "nothing" if image is None else f"{getattr(image, 'dtype', type(image))}{np.shape(image)}"
                raise ShapeError(
                    f"the image {camera.name!r} is missing or of the wrong kind",
                    where=f"frame {number}",
                    got=got,
                    expected=f"uint8{camera.image_shape}",
                )
            out.append(image)
        return out

    def _default(self, name: str, frame: Mapping[str, Any], number: int) -> Any:
        if name == "action.requested" and "action" in frame:
            return frame["action"]
        if name == "observation.time":
            return number / self._fps
        if name in ("next.reward", "next.success", "next.done"):
            return 0
        raise ShapeError(f"the feature {name!r} is missing", where=f"frame {number}", got=sorted(frame))


class GrowingRows:
    """Packed rows that are appended to; doubling its room when it is full.

    Args:
        dtype: of a row.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._rows = np.zeros(64, dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def next(self) -> np.ndarray:
        """Room for one more row, shape ``(1,)``; it counts only after :meth:`keep`."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        return self._rows[self._count : self._count + 1]

    def keep(self) -> None:
        """Count the row that :meth:`next` gave."""
        self._count += 1

    def array(self) -> np.ndarray:
        """The rows, shape ``(count,)``."""
        return self._rows[: self._count]


class EpisodeBuffer:
    """The frames of one episode as stacked arrays, without a file or a lock: workers fill it, one process writes it.

    Args:
        embodiment: of the robot; a dataset of another embodiment refuses the buffer.
        instruction: what is to be done.
        provenance: plain data about where it comes from.
        columns: numbers by feature, shape ``(frames, *shape)`` or ``(frames,)``.
        images: uint8 by camera feature, shape ``(frames, height, width, 3)``.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        instruction: str,
        provenance: Mapping[str, Any],
        columns: Mapping[str, np.ndarray],
        images: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.embodiment_fingerprint = embodiment.fingerprint()
        self.embodiment = embodiment
        self.instruction = instruction
        self.provenance = dict(provenance)
        self.columns = dict(columns)
        self.images = dict(images or {})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


def check_columns(
    features: Mapping[str, FeatureInfo], columns: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray], fps: float
) -> dict[str, np.ndarray]:
    """Columns of a whole episode in the types of the features, what may be left out filled in.

    Raises:
        NonFiniteError, ShapeError, UnknownNameError: as :meth:`RowChecker.fill`, for whole columns at once.
    """
    dtype = row_dtype(dict(features))
    cameras = {camera.name: camera for camera in camera_features(dict(features))}
    for name in (*columns, *images):
        if name not in (dtype.names or ()) and name not in cameras:
            raise UnknownNameError("feature", name, [*(dtype.names or ()), *cameras])
    frames = len(columns["action"]) if "action" in columns else len(next(iter(columns.values()), ()))
    if not frames:
        raise ShapeError("an episode needs at least one frame", got=frames)
    out = {}
    for name in dtype.names or ():
        kind = dtype[name]
        values = np.asarray(columns[name] if name in columns else _default_column(name, columns, frames, fps))
        if values.shape == (frames, 1) and kind.shape == ():
            values = values.reshape(frames)
        if values.shape != (frames, *kind.shape):
            raise ShapeError(
                f"the feature {name!r} has the wrong shape", got=values.shape, expected=(frames, *kind.shape)
            )
        with np.errstate(over="ignore", invalid="ignore"):
            out[name] = values.astype(kind.base, copy=False)
        if kind.base.kind == "f":
            _require_finite(name, out[name])
    for name, camera in cameras.items():
        image = images.get(name)
        if image is None or image.shape != (frames, *camera.image_shape) or image.dtype != np.uint8:
            got = "nothing" if image is None else f"{image.dtype}{image.shape}"
            expected = f"uint8{(frames, *camera.image_shape)}"
            raise ShapeError(f"the images {name!r} are missing or of the wrong kind", got=got, expected=expected)
    return out


def _default_column(name: str, columns: Mapping[str, np.ndarray], frames: int, fps: float) -> np.ndarray:
    if name == "action.requested" and "action" in columns:
        return columns["action"]
    if name == "observation.time":
        return np.arange(frames) / fps
    if name in ("next.reward", "next.success", "next.done"):
        return np.zeros(frames)
    raise ShapeError(f"the feature {name!r} is missing", got=sorted(columns))


def _require_finite(name: str, values: np.ndarray) -> None:
    finite = np.isfinite(values.reshape(len(values), -1))
    if not finite.all():
        frame, number = (int(i) for i in np.argwhere(~finite)[0])
        raise NonFiniteError(
            f"the feature {name!r} is not finite",
            where=f"frame {frame} of the episode",
            got=f"number {number} is {values.reshape(len(values), -1)[frame, number]}",
            remedy="find out which sensor or controller gave it; nothing of this episode was written",
        )
