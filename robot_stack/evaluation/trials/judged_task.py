"""A task that only a person can judge: for robots without a simulator's truth."""

from __future__ import annotations

from dataclasses import dataclass

from robot_stack.core.action import Receipt
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Score


@dataclass(frozen=True)
class JudgedTask:
    """A :class:`robot_stack.core.task.Task` that never scores; the evaluator does.

    Usage: ``World(robot, JudgedTask("mug", "put the mug on the rack", horizon=1200))``.
    """

    name: str
    """Identifier."""

    instruction: str
    """What to do, in words; policies that are told their task hear this."""

    horizon: int
    """Longest episode [control steps]."""

    milestones: tuple[str, ...] = ()
    """None: the plan's rubric has the evaluator's."""

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Bring the robot to its start; the evaluator sets up the scene."""
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """Nothing is known before the evaluator has judged."""
        return Score()
