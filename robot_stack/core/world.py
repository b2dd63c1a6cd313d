"""A robot and a task that belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_stack.core.robot import Robot
from robot_stack.core.task import Task


@dataclass(frozen=True)
class World:
    """What an episode needs: the robot that is driven and the task it is driven for."""

    robot: Robot
    """Driven by exactly one loop."""

    task: Task
    """Resets this robot and scores it."""

    def close(self) -> None:
        """Release the robot; idempotent."""
        self.robot.close()


WorldMaker = Callable[[], World]
"""Makes a world in whichever process it is called in; must be picklable (a function or a partial of one)."""
