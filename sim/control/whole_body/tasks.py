"""What a whole-body controller is asked for: positions, rotations, the centre of mass, a posture.

A task holds its target and answers, for the dynamics' present state, with a :class:`Demand`: a Jacobian and what the
motion along it should be, as a step, as a velocity and as an acceleration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_stack.core.errors import require_name
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics, Frame
from robot_stack.sim.control.whole_body.rotations import matrix_of, rotation_vector

ALL_AXES = (0, 1, 2)
"""x, y and z of the world."""

_UNIT = np.eye(3)


@dataclass(frozen=True, eq=False)
class Demand:
    """One task at one state, of ``rows`` numbers."""

    jacobian: np.ndarray
    """From generalised to the task's velocity, shape ``(rows, size)``."""

    step: np.ndarray
    """From where the task is to where it should be, shape ``(rows,)`` [m or rad]."""

    velocity: np.ndarray
    """Wanted velocity of the task, shape ``(rows,)`` [m/s or rad/s]."""

    acceleration: np.ndarray
    """What ``jacobian @ acceleration`` of the robot should be, shape ``(rows,)``: wanted acceleration and feedback,
    less the part that the robot's velocity brings about by itself [m/s² or rad/s²]."""


class Task(Protocol):
    """Something to be done by the whole body."""

    def demand(self, dynamics: Dynamics) -> Demand:
        """What it asks for at the present state of the dynamics."""
        ...


def stacked(demands: Sequence[Demand]) -> Demand:
    """Several demands of equal priority as one."""
    if len(demands) == 1:
        return demands[0]
    return Demand(
        np.concatenate([d.jacobian for d in demands]),
        np.concatenate([d.step for d in demands]),
        np.concatenate([d.velocity for d in demands]),
        np.concatenate([d.acceleration for d in demands]),
    )


@dataclass(eq=False)
class PositionTask:
    """The origin of a frame at a point in the world; error and feedback in world axes."""

    frame: Frame
    """Which frame."""

    kp: float = 100.0
    """Stiffness [1/s²]."""

    kd: float = 10.0
    """Damping [1/s]."""

    axes: tuple[int, ...] = ALL_AXES
    """Which axes of the world count: 0, 1, 2 for x, y, z."""

    directions: np.ndarray | None = None
    """Instead of ``axes``: unit vectors in the world along which the task counts, shape ``(rows, 3)``."""

    position: np.ndarray | None = None
    """Wanted position in the world, shape ``(3,)`` [m]; ``None``: where the frame is."""

    velocity: np.ndarray | None = None
    """Wanted velocity in world axes, shape ``(3,)`` [m/s]; ``None``: zero."""

    acceleration: np.ndarray | None = None
    """Wanted acceleration in world axes, shape ``(3,)`` [m/s²]; ``None``: zero."""

    max_step: float = np.inf
    """Errors count only up to this length, which bounds the force against something that is in the way [m]."""

    def demand(self, dynamics: Dynamics) -> Demand:
        """See :class:`Task`."""
        jacobian = dynamics.jacobian(self.frame)[:3]
        rate = dynamics.jacobian_rate(self.frame)[:3]
        step = np.zeros(3) if self.position is None else self.position - dynamics.position(self.frame)
        length = float(np.sqrt(step @ step))
        if length > self.max_step:
            step = step * (self.max_step / length)
        return _demand(dynamics, jacobian, rate, step, self.velocity, self.acceleration, self.kp, self.kd, _rows(self))


@dataclass(eq=False)
class OrientationTask:
    """The axes of a frame turned as wanted; the error is the rotation vector from now to the wanted, in world axes."""

    frame: Frame
    """Which frame; ``dynamics.base`` for the base."""

    kp: float = 100.0
    """Stiffness [1/s²]."""

    kd: float = 10.0
    """Damping [1/s]."""

    axes: tuple[int, ...] = ALL_AXES
    """Which axes of the world count: 0, 1, 2 for rotations about x, y, z."""

    directions: np.ndarray | None = None
    """Instead of ``axes``: unit vectors in the world about which rotations count, shape ``(rows, 3)``."""

    orientation: np.ndarray | None = None
    """Wanted orientation in the world, quaternion wxyz, shape ``(4,)``; ``None``: as the frame is."""

    velocity: np.ndarray | None = None
    """Wanted angular velocity in world axes, shape ``(3,)`` [rad/s]; ``None``: zero."""

    acceleration: np.ndarray | None = None
    """Wanted angular acceleration in world axes, shape ``(3,)`` [rad/s²]; ``None``: zero."""

    def demand(self, dynamics: Dynamics) -> Demand:
        """See :class:`Task`."""
        jacobian = dynamics.jacobian(self.frame)[3:]
        rate = dynamics.jacobian_rate(self.frame)[3:]
        step = np.zeros(3)
        if self.orientation is not None:
            step = rotation_vector(matrix_of(self.orientation) @ dynamics.rotation(self.frame).T)
        return _demand(dynamics, jacobian, rate, step, self.velocity, self.acceleration, self.kp, self.kd, _rows(self))


@dataclass(eq=False)
class PoseTask:
    """Position and orientation of one frame, with equal priority."""

    translation: PositionTask
    """Where."""

    rotation: OrientationTask
    """Turned how."""

    @staticmethod
    def of(frame: Frame, kp: float = 100.0, kd: float = 10.0) -> PoseTask:
        """A pose task with the same gains for both parts."""
        return PoseTask(PositionTask(frame, kp, kd), OrientationTask(frame, kp, kd))

    def demand(self, dynamics: Dynamics) -> Demand:
        """See :class:`Task`."""
        return stacked((self.translation.demand(dynamics), self.rotation.demand(dynamics)))


@dataclass(eq=False)
class ComTask:
    """The robot's centre of mass at a point in the world."""

    kp: float = 100.0
    """Stiffness [1/s²]."""

    kd: float = 10.0
    """Damping [1/s]."""

    axes: tuple[int, ...] = ALL_AXES
    """Which axes of the world count: 0, 1, 2 for x, y, z."""

    directions: np.ndarray | None = None
    """Instead of ``axes``: unit vectors in the world along which the task counts, shape ``(rows, 3)``."""

    position: np.ndarray | None = None
    """Wanted position in the world, shape ``(3,)`` [m]; ``None``: where it is."""

    velocity: np.ndarray | None = None
    """Wanted velocity, shape ``(3,)`` [m/s]; ``None``: zero."""

    acceleration: np.ndarray | None = None
    """Wanted acceleration, shape ``(3,)`` [m/s²]; ``None``: zero."""

    def demand(self, dynamics: Dynamics) -> Demand:
        """See :class:`Task`."""
        step = np.zeros(3) if self.position is None else self.position - dynamics.com
        jacobian, rate = dynamics.com_jacobian, dynamics.com_jacobian_rate
        return _demand(dynamics, jacobian, rate, step, self.velocity, self.acceleration, self.kp, self.kd, _rows(self))


class PostureTask:
    """Joints at given positions.

    Args:
        dynamics: whose joints.
        position: wanted positions of ``joints``, shape ``(joints,)`` [rad or m].
        joints: which joints, by name; every joint of the dynamics when left out.
        kp: stiffness [1/s²].
        kd: damping [1/s].

    Raises:
        UnknownNameError: if the dynamics has no such joint.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        position: np.ndarray,
        joints: Sequence[str] | None = None,
        *,
        kp: float = 100.0,
        kd: float = 10.0,
    ) -> None:
        names = dynamics.joints if joints is None else tuple(joints)
        for name in names:
            require_name("joint", name, dynamics.joints, where="posture task")
        self._index = np.array([dynamics.joints.index(name) for name in names], dtype=np.int64)
        self._jacobian = np.zeros((len(names), dynamics.size))
        self._jacobian[np.arange(len(names)), BASE + self._index] = 1.0
        self.position = np.array(position, dtype=np.float64)
        """Wanted positions, shape ``(joints,)`` [rad or m]."""
        self.velocity = np.zeros(len(names))
        """Wanted velocities, shape ``(joints,)`` [rad/s or m/s]."""
        self.acceleration = np.zeros(len(names))
        """Wanted accelerations, shape ``(joints,)`` [rad/s² or m/s²]."""
        self.kp = kp
        self.kd = kd

    def demand(self, dynamics: Dynamics) -> Demand:
        """See :class:`Task`."""
        step = self.position - dynamics.joint_position[self._index]
        lag = self.velocity - dynamics.velocity[BASE + self._index]
        return Demand(self._jacobian, step, self.velocity, self.acceleration + self.kp * step + self.kd * lag)


def _demand(
    dynamics: Dynamics,
    jacobian: np.ndarray,
    rate: np.ndarray,
    step: np.ndarray,
    velocity: np.ndarray | None,
    acceleration: np.ndarray | None,
    kp: float,
    kd: float,
    rows: np.ndarray | None,
) -> Demand:
    wanted = np.zeros(3) if velocity is None else velocity
    asked = kp * step + kd * (wanted - jacobian @ dynamics.velocity) - rate
    if acceleration is not None:
        asked = asked + acceleration
    if rows is None:
        return Demand(jacobian, step, wanted, asked)
    return Demand(rows @ jacobian, rows @ step, rows @ wanted, rows @ asked)


def _rows(task: PositionTask | OrientationTask | ComTask) -> np.ndarray | None:
    """Directions that count, shape ``(rows, 3)``; ``None`` for all three axes."""
    if task.directions is not None:
        return task.directions
    return None if task.axes == ALL_AXES else _UNIT[list(task.axes)]
