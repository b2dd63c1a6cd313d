"""Images of one model at any size: small ones with round shapes as coarse as their pixels allow, large ones in full."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.sim.render import OffscreenRenderer, Quality

SMALL = 256
"""Images of at most so many rows and columns are small [pixel]."""

USUAL_LARGE = (720, 1280)
"""Rows and columns that a renderer of large images is made for at least, so that it is seldom made anew [pixel]."""


class ModelImages:
    """Makes renderers when the first image of a size is asked for, and keeps them.

    On a software backend the time of a small image goes into the triangles of round shapes. With 16 sides instead of 28
    an outline is off by 2% of its radius, less than a pixel up to a radius of 50; our scenes render twice as fast.

    Args:
        model: ``mujoco.MjModel``.
        quality: of the images; coarse shapes belong to ``"fast"``.
    """

    def __init__(self, model: Any, quality: Quality = "fast") -> None:
        self._model = model
        self._quality: Quality = quality
        self._small: OffscreenRenderer | None = None
        self._large: OffscreenRenderer | None = None
        self._size = (0, 0)

    def render(self, data: Any, camera: int, height: int, width: int) -> np.ndarray:
        """One image.

        Args:
            data: ``mujoco.MjData`` of the model.
            camera: number of the camera; -1 is the free camera.
            height: [pixel].
            width: [pixel].

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``.

        Raises:
            RenderError: if no image can be made here.
        """
        small = self._quality == "fast" and max(height, width) <= SMALL
        renderer = self._for_small() if small else self._for_large(height, width)
        return renderer.render(data, camera, height, width)

    def close(self) -> None:
        """Free the graphics contexts; idempotent, and the next image makes new ones."""
        for renderer in (self._small, self._large):
            if renderer is not None:
                renderer.close()
        self._small = self._large = None

    def _for_small(self) -> OffscreenRenderer:
        if self._small is None:
            self._small = OffscreenRenderer(self._model, SMALL, SMALL, self._quality, coarse=True)
        return self._small

    def _for_large(self, height: int, width: int) -> OffscreenRenderer:
        if self._large is None or height > self._size[0] or width > self._size[1]:
            if self._large is not None:
                self._large.close()
            rows, columns = USUAL_LARGE
            self._size = max(height, rows, self._size[0]), max(width, columns, self._size[1])
            self._large = OffscreenRenderer(self._model, *self._size, self._quality)
        return self._large
