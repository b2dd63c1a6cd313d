"""What a robot saw at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import NonFiniteError, ShapeError


@dataclass(frozen=True, eq=False)
class Observation:
    """State vector and images of one moment, stamped when they were received."""

    state: np.ndarray
    """The embodiment's state fields in a row, float64 of shape ``(state_size,)``."""

    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Per camera an RGB image, uint8 of shape ``(height, width, 3)``."""

    time_s: float = 0.0
    """When it was received, on the clock the episode runs on [s]."""

    sequence: int = 0
    """Counts observations of one robot; a gap means a loss, a repeat means a stale one."""


def check_observation(observation: Observation, embodiment: Embodiment) -> None:
    """Check shapes, types and finite numbers against the embodiment.

    Raises:
        ShapeError: if an array is missing or has another shape or type.
        NonFiniteError: if the state holds NaN or infinity; the message names the field.
    """
    where = f"observation {observation.sequence} of {embodiment.name!r}"
    if observation.state.shape != (embodiment.state_size,):
        raise ShapeError(
            "the state has the wrong shape",
            where=where,
            got=observation.state.shape,
            expected=(embodiment.state_size,),
        )
    finite = np.isfinite(observation.state)
    if not finite.all():
        bad = [n for n, ok in zip(embodiment.state_names, finite, strict=True) if not ok]
        raise NonFiniteError("the state is not finite", where=where, got=", ".join(bad))
    for camera in embodiment.cameras:
        image = observation.images.get(camera.name)
        if image is None or image.shape != camera.shape or image.dtype != np.uint8:
            raise ShapeError(
                f"the image of camera {camera.name!r} is missing or of the wrong kind",
                where=where,
                got=None if image is None else f"{image.dtype}{image.shape}",
                expected=f"uint8{camera.shape}",
            )
