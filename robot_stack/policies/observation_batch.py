"""From observations of robots to the entries of a training batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ShapeError
from robot_stack.core.observation import Observation, check_observation
from robot_stack.policies.config import InputConfig

STATE = "observation.state"
"""Batch entry ``(B, n_obs, S)``: the state vectors, oldest first, in physical units."""

IMAGE = "observation.images."
"""Batch entries ``IMAGE + camera``: uint8 ``(B, n_obs, H, W, 3)``."""


def observation_batch(
    histories: Sequence[Sequence[Observation]], inputs: InputConfig, embodiment: Embodiment
) -> dict[str, np.ndarray]:
    """Stack the last observations of several robots as training batches hold them.

    Args:
        histories: for each robot its last ``n_obs_steps`` observations, oldest first.
        inputs: which cameras, how many observations.
        embodiment: of all the robots.

    Returns:
        :data:`STATE` float32 and the :data:`IMAGE` entries of the cameras in ``inputs``.

    Raises:
        ShapeError: if a history has another length, or an array does not match the embodiment.
        NonFiniteError: if a state holds NaN or infinity; the message names the numbers.
    """
    if not histories:
        raise ShapeError("there is no observation to decide on", got="0 histories", expected="at least 1")
    seen = embodiment.with_cameras(tuple(embodiment.camera(name) for name in inputs.cameras))
    for history in histories:
        if len(history) != inputs.n_obs_steps:
            raise ShapeError(
                "a history has the wrong length",
                got=f"{len(history)} observations",
                expected=f"{inputs.n_obs_steps}",
                remedy="repeat the first observation at the start of an episode",
            )
        for observation in history:
            check_observation(observation, seen)
    batch = {STATE: np.array([[o.state for o in history] for history in histories], dtype=np.float32)}
    for name in inputs.cameras:
        batch[IMAGE + name] = np.stack([np.stack([o.images[name] for o in history]) for history in histories])
    return batch
