"""The contract between an action and the joints: what a controller sees, and what it tells every joint.

An action arrives once a control period (:meth:`Controller.begin`); the controller answers every servo tick with a
:class:`JointCommand` (:meth:`Controller.update`), as the low-level interfaces of real robots take it. The robot applies
``u = effort + stiffness (position - q) + damping (velocity - dq)`` to each joint until the next tick, clipped to the
joint's largest effort, after the safety filter has seen it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.fields import Field

Guarded = Literal["position", "velocity", "effort"]
"""Which part of a joint command the safety filter keeps within limits over time; the other parts are only clipped."""


@dataclass(frozen=True, eq=False)
class RobotState:
    """What is known of the robot at a servo tick: measured on hardware, the simulator's truth in simulation."""

    time_s: float
    """Since the episode began [s]."""

    joint_position: np.ndarray
    """Of every driven joint in the order of ``RobotSpec.driven``, shape ``(driven,)`` [rad or m]."""

    joint_velocity: np.ndarray
    """Likewise [rad/s or m/s]."""

    p_world_base: np.ndarray
    """Position of the base's frame in the world, shape ``(3,)`` [m]; the mounting of a fixed base."""

    q_world_base: np.ndarray
    """Orientation of the base's frame in the world, unit quaternion wxyz, shape ``(4,)``."""

    v_world_base: np.ndarray
    """Velocity of the base frame's origin, in world axes, shape ``(3,)`` [m/s]."""

    w_base: np.ndarray
    """Angular velocity of the base, in the base's own axes (as a gyroscope gives it), shape ``(3,)`` [rad/s]."""

    foot_force: np.ndarray
    """Normal contact force at each foot of ``RobotSpec.feet``, shape ``(feet,)`` [N]; empty where none is measured."""


@dataclass(frozen=True, eq=False)
class JointCommand:
    """What every driven joint is told, each of shape ``(driven,)`` in the order of ``RobotSpec.driven``."""

    position: np.ndarray
    """Where to go [rad or m]."""

    velocity: np.ndarray
    """How fast, wherever damping is not zero [rad/s or m/s]."""

    effort: np.ndarray
    """Torque or force fed forward [N·m or N]."""

    stiffness: np.ndarray
    """kp [N·m/rad or N/m]; 0 for a joint without a position loop."""

    damping: np.ndarray
    """kd [N·m·s/rad or N·s/m]."""


def joint_force(command: JointCommand, stiffness: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """The controls of actuators with ``force = control - kp q - kd dq`` that carry out a joint command.

    Args:
        command: its own gains are not looked at.
        stiffness: kp that the joints really have, broadcasts to the command.
        damping: kd, likewise.
    """
    return command.effort + stiffness * command.position + damping * command.velocity


@dataclass(frozen=True, eq=False)
class Accepted:
    """What a controller made of an action."""

    action: np.ndarray
    """The action it follows, shape ``(action_size,)``; the one asked for, or the nearest it may follow."""

    interventions: tuple[Intervention, ...] = ()
    """Why it differs; empty when it does not."""


class Controller(Protocol):
    """Turns actions into joint commands. One controller drives one robot; it holds no simulator data."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The action's fields in order, with units and limits."""
        ...

    @property
    def servo_hz(self) -> float:
        """How often :meth:`update` wants to be called [Hz]; 0: once for each action."""
        ...

    @property
    def guards(self) -> Guarded:
        """Which part of its joint commands matters most; the safety filter limits how that part may change."""
        ...

    def reset(self, state: RobotState) -> np.ndarray:
        """An episode begins here; returns the action that means "stay as you are", shape ``(action_size,)``."""
        ...

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """A new action is in force.

        Args:
            action: finite numbers of shape ``(action_size,)``; may be out of the fields' limits.
            state: the robot now.
        """
        ...

    def update(self, state: RobotState) -> JointCommand:
        """What the joints are told at this servo tick; finite, always."""
        ...
