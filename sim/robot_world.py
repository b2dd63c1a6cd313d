"""A robot and one of its tasks as a World, for the control loop, collection and evaluation."""

from __future__ import annotations

import numpy as np

from robot_stack.core.action import Receipt
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Score
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.robot_tasks.contract import RobotTask


class SimulatedTask:
    """A robot task behind the Task contract, scored from the simulator's truth.

    Args:
        robot: made with the task.
        horizon: longest episode [control steps]; ``None`` takes the task's.
    """

    def __init__(self, robot: MujocoRobot, horizon: int | None = None) -> None:
        self._robot = robot
        self.task: RobotTask = robot.task
        """The task itself."""
        self._horizon = horizon

    @property
    def name(self) -> str:
        """``robot/task``."""
        return self.task.name

    @property
    def instruction(self) -> str:
        """What to do, in words."""
        return self.task.instruction

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        return self._horizon or self.task.horizon

    @property
    def milestones(self) -> tuple[str, ...]:
        """Ordered partial goals."""
        return self.task.milestones

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Go to the start that belongs to ``seed``.

        Raises:
            ConfigError: if ``robot`` is not the one this task was made with.
        """
        if robot is not self._robot:
            raise ConfigError("a task can only reset the robot it was made with", got=type(robot).__name__)
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """Reward, success and milestones for the simulator's present state."""
        scores = self.task.score(self._robot.truth)
        milestones = tuple(bool(m) for m in np.atleast_1d(scores.milestones))
        return Score(float(scores.reward), bool(scores.success), milestones, bool(scores.failed))
