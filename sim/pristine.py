"""A model as it was compiled, so that what one episode changes does not reach the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.contract import ModelChange


class PristineModel:
    """Changes a model for one episode, and undoes it.

    Args:
        model: ``mujoco.MjModel``.
    """

    def __init__(self, model: Any) -> None:
        self._mujoco = import_mujoco()
        self._model = model
        self._kept: dict[str, np.ndarray] = {}

    def change(self, changes: Sequence[ModelChange]) -> None:
        """Change the model, and derive its constants again unless only colours differ.

        Raises:
            ConfigError: if a field is not one of the model's arrays.
        """
        for change in changes:
            array = getattr(self._model, change.field, None)
            if not isinstance(array, np.ndarray):
                raise ConfigError("a task changes a model field that does not exist", got=change.field)
            self._kept.setdefault(change.field, array.copy())
            array[change.row] = change.value
        if any(not change.field.endswith("rgba") for change in changes):
            self._derive()

    def restore(self) -> None:
        """Undo every change since the last call."""
        for field, values in self._kept.items():
            getattr(self._model, field)[:] = values
        if any(not field.endswith("rgba") for field in self._kept):
            self._derive()
        self._kept.clear()

    def _derive(self) -> None:
        self._mujoco.mj_setConst(self._model, self._mujoco.MjData(self._model))
