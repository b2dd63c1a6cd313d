"""Images of single simulations of a batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_stack.sim.batch.episode_models import EpisodeModels
from robot_stack.sim.model_images import ModelImages
from robot_stack.sim.render import Quality, import_mujoco
from robot_stack.sim.robots.model import RobotModel, number_of


class BatchImages:
    """Renders one simulation at a time, with its own colours and sizes.

    Args:
        robot: the scene.
        batch: ``mujoco.batch.Batch``.
        models: what differs between simulations.
        quality: of the images.
    """

    def __init__(self, robot: RobotModel, batch: Any, models: EpisodeModels, quality: Quality = "fast") -> None:
        self._robot, self._batch, self._models = robot, batch, models
        self._quality: Quality = quality
        self._images: ModelImages | None = None
        self._model: Any = None
        self._data: Any = None

    def render(self, sim: int, camera: str, height: int, width: int) -> np.ndarray:
        """RGB, uint8 of shape ``(height, width, 3)``.

        Args:
            sim: which simulation.
            camera: which camera of the robot or the scene.
            height: [pixel].
            width: [pixel].

        Raises:
            RenderError: if no image can be made here.
            UnknownNameError: if there is no such camera.
        """
        mujoco = import_mujoco()
        number = number_of(self._robot.model, "camera", camera)
        if self._images is None:
            self._model = copy.copy(self._robot.model)
            self._data = mujoco.MjData(self._model)
            self._images = ModelImages(self._model, self._quality)
        self._models.model(sim, self._model)
        self._batch.get_data(sim, self._data)
        mujoco.mj_forward(self._model, self._data)
        return self._images.render(self._data, number, height, width)

    def close(self) -> None:
        """Free the renderer; idempotent."""
        if self._images is not None:
            self._images.close()


def tiled(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images of one size side by side in a grid that is about square; empty places are black.

    Args:
        images: each uint8 of shape ``(height, width, 3)``.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = images[0].shape[:2]
    out = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height, i % columns * width
        out[top : top + height, left : left + width] = image
    return out
