"""Between our joint order and what controllers are told and say: the one place where arm joints are mapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.errors import require_name
from robot_stack.hardware.arms.config import ArmConfig, GripperConfig


class ArmJointMap:
    """Indices and scales, computed once.

    Args:
        config: controllers and grippers.
        joint_names: every driven joint in our order.

    Raises:
        RobotStackError: if configuration and robot do not fit.
    """

    def __init__(self, config: ArmConfig, joint_names: Sequence[str]) -> None:
        config.require_joints(joint_names)
        self.config = config
        self.joint_names = tuple(joint_names)
        index = {name: i for i, name in enumerate(self.joint_names)}
        self.of_controller = tuple(np.array([index[j] for j in c.joints]) for c in config.controllers)
        """For each controller, where its joints are in our order."""
        self._of_gripper = tuple(np.array([index[j] for j in g.joints]) for g in config.grippers)
        self.ros_names = tuple(n for c in config.controllers for n in c.names) + tuple(
            g.ros_joint for g in config.grippers
        )
        """Every joint that ``joint_states`` has to give."""
        self._to_ours = np.concatenate([*self.of_controller]) if config.controllers else np.zeros(0, dtype=int)

    def gripper_number(self, gripper: int, position: np.ndarray) -> float:
        """What a gripper's controller is told.

        Args:
            gripper: its place in the configuration.
            position: of all our joints, shape ``(joints,)``.
        """
        config, own = self.config.grippers[gripper], position[self._of_gripper[gripper]]
        closed, opened = np.array(config.joints_closed), np.array(config.joints_open)
        share = float(np.mean((own - closed) / (opened - closed)))
        return config.closed + min(max(share, 0.0), 1.0) * (config.open - config.closed)

    def gripper_joints(self, gripper: int, number: float) -> np.ndarray:
        """Where our joints of a gripper are for a number of its controller's, shape ``(joints of it,)``."""
        config = self.config.grippers[gripper]
        share = (number - config.closed) / (config.open - config.closed)
        closed, opened = np.array(config.joints_closed), np.array(config.joints_open)
        return closed + share * (opened - closed)

    def order(self, names: Sequence[str]) -> np.ndarray:
        """Where each of :attr:`ros_names` is in a message.

        Args:
            names: of the message.

        Raises:
            UnknownNameError: if a joint is missing.
        """
        place = {name: i for i, name in enumerate(names)}
        for name in self.ros_names:
            require_name("joint", name, names, where=self.config.joint_states)
        return np.array([place[name] for name in self.ros_names])

    def to_ours(self, numbers: np.ndarray, *, rate: bool = False) -> np.ndarray:
        """Positions, or rates, in our order from numbers in the order of :attr:`ros_names`, shape ``(joints,)``."""
        ours = np.zeros(len(self.joint_names))
        arms = len(self._to_ours)
        ours[self._to_ours] = numbers[:arms]
        for i, places in enumerate(self._of_gripper):
            config: GripperConfig = self.config.grippers[i]
            if rate:
                ours[places] = self.gripper_joints(i, config.closed + numbers[arms + i]) - config.joints_closed
            else:
                ours[places] = self.gripper_joints(i, numbers[arms + i])
        return ours

    def efforts(self, numbers: np.ndarray) -> np.ndarray:
        """Efforts of the arm joints in our order, shape ``(joints,)``; a gripper's are not known by joint and are 0."""
        ours = np.zeros(len(self.joint_names))
        ours[self._to_ours] = numbers[: len(self._to_ours)]
        return ours
