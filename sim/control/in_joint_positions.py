"""Whoever moves hands, heard in joint positions: an adapter for scripts, teleoperation and policies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.core.observation import Observation
from robot_stack.sim.control.end_effector_modes import HandPoseMode, HandStepMode
from robot_stack.sim.control.joint_modes import GripperMap
from robot_stack.sim.robots.model import RobotModel


class InJointPositions:
    """A driver that answers in joint positions for one that answers in poses or steps of the hands.

    Every action of the inner driver is led through the action mode it was written for; what comes out are the joint
    positions and openings that the joint-position mode takes. So one script records data for both modes, and a policy
    of hand poses runs on a robot that only takes joints.

    Args:
        driver: answers in the fields of ``mode``.
        mode: made for the robot; this adapter alone uses it.
        robot: the compiled scene.
        embodiment: of the robot in joint positions.

    Raises:
        ConfigError: if the embodiment is not one in joint positions of this robot.
    """

    def __init__(
        self, driver: Driver, mode: HandPoseMode | HandStepMode, robot: RobotModel, embodiment: Embodiment
    ) -> None:
        names = [field.name for field in embodiment.action]
        expected = ["joint_position", *(gripper.name for gripper in robot.spec.grippers)]
        if names != expected:
            raise ConfigError("the robot does not take joint positions", got=names, expected=expected)
        self._driver, self._mode, self._robot = driver, mode, robot
        self._grippers = GripperMap(robot)
        self._where = embodiment.state_slices
        self._low, self._high = embodiment.action_limits
        self._size = sum(field.size for field in mode.fields)
        self._begun = False

    @property
    def history(self) -> int:
        """As the inner driver's."""
        return self._driver.history

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self._driver.reset(instruction, seed)
        self._begun = False

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The inner driver's next actions, in joint positions."""
        chunk = self._driver.act(history)
        if chunk.actions.shape[1] != self._size:
            raise ConfigError(
                "the inner driver does not answer in the fields of its action mode",
                got=f"{chunk.actions.shape[1]} numbers",
                expected=f"{self._size}",
            )
        state = self._state(history[-1])
        if not self._begun:
            self._mode.reset(state)
            self._begun = True
        rows = np.stack([self._joints(action, state) for action in chunk.actions])
        return ActionChunk(rows, chunk.start_s, chunk.period_s)

    def _joints(self, action: np.ndarray, state: RobotState) -> np.ndarray:
        accepted = self._mode.begin(action, state)
        opening = accepted.action[len(accepted.action) - self._grippers.size :]
        return np.minimum(np.maximum(np.concatenate([self._mode.joint_command, opening]), self._low), self._high)

    def _state(self, observation: Observation) -> RobotState:
        """What can be seen of the robot's state; its time stands still, since a chunk is led through at once."""
        robot, seen = self._robot, observation.state
        openings = [seen[self._where[f"{g.name}_opening"]] for g in robot.spec.grippers]
        fingers = self._grippers.joints(np.concatenate(openings)) if openings else np.zeros(0)
        joints = np.concatenate([seen[self._where["joint_position"]], fingers])
        if robot.spec.base == "floating":
            place, turn = seen[self._where["base_position"]], seen[self._where["base_quaternion"]]
        else:
            place, turn = robot.model.body_pos[robot.root], robot.model.body_quat[robot.root]
        zero = np.zeros(3)
        return RobotState(0.0, joints, np.zeros_like(joints), place, turn, zero, zero, np.zeros(0))
