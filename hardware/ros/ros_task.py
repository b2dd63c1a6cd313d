"""A task on a robot behind ROS: its words are given, its score comes from the topic ``score`` of an emulator."""

from __future__ import annotations

from typing import Any

from robot_stack.core.action import Receipt
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Score
from robot_stack.hardware.ros.ros_robot import RosRobot


class RosTask:
    """Implements :class:`robot_stack.core.task.Task`.

    Args:
        robot: whose emulator scores; on a real robot every score is 0 and a person judges.
        name: of the task.
        instruction: in words.
        horizon: longest episode [control steps].
    """

    def __init__(self, robot: RosRobot, name: str, instruction: str, horizon: int) -> None:
        self._robot = robot
        self.name, self.instruction, self.horizon = name, instruction, horizon
        self.milestones: tuple[str, ...] = ()
        """None are told over ROS."""

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Bring the robot to the start that belongs to ``seed``.

        Raises:
            ConfigError: if it is another robot.
        """
        if robot is not self._robot:
            raise ConfigError("a task can only reset the robot it was made with", got=type(robot).__name__)
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """As the newest message says."""
        message = self._robot.link.newest("score")
        if message is None:
            return Score()
        told: dict[str, Any] = dict(zip(message.name, message.position, strict=False))
        failed = bool(told.get("failed", 0.0))
        return Score(float(told.get("reward", 0.0)), bool(told.get("success", 0.0)), terminated=failed)
