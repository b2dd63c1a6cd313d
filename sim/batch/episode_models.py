"""What differs in the model from simulation to simulation, written anew for every episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_stack.sim.batch.source import BatchSource
from robot_stack.sim.pristine import derives, model_array
from robot_stack.sim.randomization import EpisodeDraw
from robot_stack.sim.robot_tasks.contract import ModelChange
from robot_stack.sim.robots.model import RobotModel


class EpisodeModels:
    """Model fields of a batch that episodes change: by tasks, by drawn factors, and the gains of joints.

    A field has values of its own in every simulation from the first change on. Colours are kept aside until an image
    is made, since physics does not look at them.

    Args:
        robot: the scene; its model stays as it is.
        batch: ``mujoco.batch.Batch`` of that model.
        source: through which the batch is read.
    """

    def __init__(self, robot: RobotModel, batch: Any, source: BatchSource) -> None:
        self._robot, self._batch, self._source = robot, batch, source
        self._colours: dict[int, list[ModelChange]] = {}
        self._base: dict[str, np.ndarray] = {}

    def of(self, sim: int) -> dict[str, np.ndarray]:
        """The fields that differ between simulations, as they are in one, by name."""
        return {field: self._source.expanded[field][sim] for field in self._base}

    def write(self, rows: np.ndarray, changes: Sequence[Sequence[ModelChange]], draws: Sequence[EpisodeDraw]) -> None:
        """Write the models of episodes that begin, and derive their constants.

        Args:
            rows: in these simulations, shape ``(n,)``.
            changes: what the task changes, for each.
            draws: what randomisation drew, for each.

        Raises:
            ConfigError: if a task changes a field that the model does not have.
        """
        for field, values in self._base.items():
            self._source.expanded[field][rows] = values
        for row, own, draw in zip(rows, changes, draws, strict=True):
            self._colours[int(row)] = [change for change in own if change.field.endswith("rgba")]
            for change in own:
                if not change.field.endswith("rgba"):
                    self._field(change.field)[row][change.row] = change.value
            for field, factor in draw.factors.items():
                self._field(field)[row] *= factor
        if derives(self._robot.model, self._base):
            self._batch.set_const(rows)

    def write_gains(self, rows: np.ndarray, stiffness: np.ndarray, damping: np.ndarray) -> None:
        """Give joints gains of their own, each of shape ``(n, driven)``."""
        parameters, actuator = self._field("actuator_biasprm"), self._robot.actuator
        parameters[rows[:, None], actuator, 1], parameters[rows[:, None], actuator, 2] = -stiffness, -damping

    def model(self, sim: int, model: Any) -> Any:
        """One simulation's model with its colours, written into ``model``, a copy of the robot's.

        Args:
            sim: which simulation.
            model: ``mujoco.MjModel``.
        """
        self._batch.get_model(sim, model)
        for change in self._colours.get(sim, ()):
            model_array(model, change.field)[change.row] = change.value
        return model

    def _field(self, name: str) -> np.ndarray:
        if name not in self._base:
            self._base[name] = model_array(self._robot.model, name).copy()
            self._source.expand(name)
        return self._source.expanded[name]
