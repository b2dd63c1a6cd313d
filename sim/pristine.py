"""A model as it was compiled, so that what one episode changes does not reach the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

    def change(self, changes: Sequence[ModelChange], factors: Mapping[str, np.ndarray] | None = None) -> None:
        """Change the model, and derive its constants again where they depend on what is changed.

        Args:
            changes: written one after the other.
            factors: fields and what they are multiplied by afterwards.

        Raises:
            ConfigError: if a field is not one of the model's arrays.
        """
        factors = factors or {}
        for change in changes:
            self._keep(change.field)[change.row] = change.value
        for field, factor in factors.items():
            array = self._keep(field)
            array *= factor
        if derives(self._model, (*(change.field for change in changes), *factors)):
            self._derive()

    @property
    def changed(self) -> dict[str, np.ndarray]:
        """The fields that differ from the compiled model, as they are now; without colours."""
        return {name: getattr(self._model, name).copy() for name in self._kept if not name.endswith("rgba")}

    def restore(self) -> None:
        """Undo every change since the last call."""
        for field, values in self._kept.items():
            getattr(self._model, field)[:] = values
        if derives(self._model, self._kept):
            self._derive()
        self._kept.clear()

    def _keep(self, field: str) -> np.ndarray:
        """The model's own array, remembered as it was."""
        array = model_array(self._model, field)
        self._kept.setdefault(field, array.copy())
        return array

    def _derive(self) -> None:
        self._mujoco.mj_setConst(self._model, self._mujoco.MjData(self._model))


def model_array(model: Any, field: str) -> np.ndarray:
    """One of the model's arrays.

    Raises:
        ConfigError: if there is none of that name.
    """
    array = getattr(model, field, None)
    if not isinstance(array, np.ndarray):
        raise ConfigError("a task changes a model field that does not exist", got=field)
    return array


def derives(model: Any, fields: Iterable[str]) -> bool:
    """Whether constants of a model are derived from any of these fields, so that ``mj_setConst`` must be called."""
    inputs = getattr(model, "_setconst_inputs", None)  # MuJoCo says so since it has batches
    fields = [field for field in fields if not field.endswith("rgba")]
    return bool(fields) if inputs is None else not set(fields).isdisjoint(inputs)
