"""Action modes that many robots can follow at once."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller, Guarded, JointCommand


@runtime_checkable
class JointMode(Protocol):
    """An action mode whose joint command is a function of the action and the joints, without memory."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The action's fields in order."""
        ...

    @property
    def guards(self) -> Guarded:
        """Which part of its joint commands the limits on motion apply to."""
        ...

    def within_limits(self, action: np.ndarray) -> np.ndarray:
        """The nearest action within the fields' limits, shape ``(..., action_size)``."""
        ...

    def hold(self, position: np.ndarray) -> np.ndarray:
        """The action that means "stay as you are", shape ``(..., action_size)``."""
        ...

    def joint_command(self, action: np.ndarray, position: np.ndarray) -> JointCommand:
        """What the joints are told; gains have the shape ``(driven,)``."""
        ...


def require_joint_mode(controller: Controller) -> JointMode:
    """The controller as a mode for many robots.

    Raises:
        ConfigError: if it has a memory or solves a problem at every tick, as whole-body control and inverse kinematics
            do.
    """
    if isinstance(controller, JointMode) and not controller.servo_hz:
        return controller
    raise ConfigError(
        "this action mode cannot be followed by many robots at once",
        got=type(controller).__name__,
        expected="JointPositionMode, JointVelocityMode or JointTorqueMode, or another with joint_command()",
        remedy="pass one of these to the batch, or run single robots side by side (robot_stack.runtime.fleet)",
    )
