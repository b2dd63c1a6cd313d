"""Action modes in joint space: positions with the robot's own gains, velocities, torques; grippers by their opening."""

from __future__ import annotations

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Accepted, Guarded, JointCommand, RobotState
from robot_stack.sim.robots.model import RobotModel


class GripperMap:
    """Openings (0 closed, 1 open) of a robot's grippers, to and from their driven joints.

    Args:
        robot: whose grippers.
    """

    def __init__(self, robot: RobotModel) -> None:
        grippers = robot.spec.grippers
        self.size = len(grippers)
        """How many grippers."""
        self.fields = tuple(Field(g.name, 1, "1", (g.name,), (0.0,), (1.0,)) for g in grippers)
        """One field a gripper."""
        self._closed = np.array([c for g in grippers for c in g.closed], dtype=np.float64)
        self._open = np.array([o for g in grippers for o in g.open], dtype=np.float64)
        self._owner = np.array([i for i, g in enumerate(grippers) for _ in g.joints], dtype=np.int64)
        self._first = np.searchsorted(self._owner, np.arange(self.size))

    def joints(self, opening: np.ndarray) -> np.ndarray:
        """Joint positions for openings.

        Args:
            opening: shape ``(..., grippers)``, clipped to [0, 1].

        Returns:
            Positions of the grippers' driven joints, shape ``(..., gripper joints)`` [rad or m].
        """
        share = np.minimum(np.maximum(opening, 0.0), 1.0)[..., self._owner]
        return self._closed + share * (self._open - self._closed)

    def openings(self, joints: np.ndarray) -> np.ndarray:
        """Openings for joint positions, by each gripper's first joint, shape ``(..., grippers)``; not clipped."""
        first = self._first
        way = (self._open - self._closed)[first]
        return (joints[..., first] - self._closed[first]) / way


class _JointMode:
    """What the three modes share: numbers in joint order, then grippers by opening."""

    servo_hz = 0.0

    def __init__(self, robot: RobotModel) -> None:
        self._robot = robot
        self._grippers = GripperMap(robot)
        self._count = len(robot.spec.joints)
        self._stiffness = np.array([joint.stiffness for joint in robot.spec.driven], dtype=np.float64)
        self._damping = np.array([joint.damping for joint in robot.spec.driven], dtype=np.float64)
        self._effort = np.array([joint.effort for joint in robot.spec.joints], dtype=np.float64)
        self._velocity = np.array([joint.velocity for joint in robot.spec.joints], dtype=np.float64)
        self.fields = self._fields()
        """The action's fields in order."""
        self._low = np.concatenate([f.low_array for f in self.fields])
        self._high = np.concatenate([f.high_array for f in self.fields])
        self._names = tuple(n for f in self.fields for n in f.element_names)
        self._taken = np.zeros(len(self._names))

    def _field(self, name: str, unit: str, low: np.ndarray, high: np.ndarray) -> tuple[Field, ...]:
        names = self._robot.spec.joint_names
        own = Field(name, self._count, unit, names, tuple(low.tolist()), tuple(high.tolist()))
        return (own, *self._grippers.fields)

    def _fields(self) -> tuple[Field, ...]:
        raise NotImplementedError

    def within_limits(self, action: np.ndarray) -> np.ndarray:
        """The nearest action within the fields' limits, shape ``(..., action_size)``."""
        return np.minimum(np.maximum(action, self._low), self._high)

    def hold(self, position: np.ndarray) -> np.ndarray:
        """The action that means "stay as you are".

        Args:
            position: of every driven joint, shape ``(..., driven)`` [rad or m].

        Returns:
            Shape ``(..., action_size)``.
        """
        opening = self._grippers.openings(position[..., self._count :])
        stay = self._stay(position[..., : self._count])
        return np.concatenate([stay, np.minimum(np.maximum(opening, 0.0), 1.0)], axis=-1)

    def joint_command(self, action: np.ndarray, position: np.ndarray) -> JointCommand:
        """What the joints are told, for one robot or many at once; the mode's memory is not used.

        Args:
            action: within its limits, shape ``(..., action_size)``.
            position: of every driven joint now, shape ``(..., driven)`` [rad or m].

        Returns:
            Targets of shape ``(..., driven)``; the gains, which are always the same, of shape ``(driven,)``.
        """
        fingers = self._grippers.joints(action[..., self._count :])
        return self._tell(action[..., : self._count], fingers, position)

    def reset(self, state: RobotState) -> np.ndarray:
        """Stay where the joints are."""
        action = self.hold(state.joint_position)
        self.begin(action, state)
        return action

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """The action within its fields' limits is in force."""
        taken = self._taken = self.within_limits(action)
        changed = np.flatnonzero(taken != action)
        if not changed.size:
            return Accepted(taken)
        return Accepted(
            taken, tuple(Intervention("limit", f"{self._names[i]} {action[i]:.4g} → {taken[i]:.4g}") for i in changed)
        )

    def update(self, state: RobotState) -> JointCommand:
        """What the joints are told by the action in force."""
        return self.joint_command(self._taken, state.joint_position)

    def _stay(self, position: np.ndarray) -> np.ndarray:
        """The part of :meth:`hold` for the joints; at rest, unless overridden."""
        return np.zeros_like(position)

    def _tell(self, numbers: np.ndarray, fingers: np.ndarray, position: np.ndarray) -> JointCommand:
        raise NotImplementedError


class JointPositionMode(_JointMode):
    """Joint positions [rad or m], followed by the real robot's PD loop.

    Args:
        robot: whose joints.
    """

    guards: Guarded = "position"

    def _fields(self) -> tuple[Field, ...]:
        return self._field("joint_position", "rad", self._robot.low[: self._count], self._robot.high[: self._count])

    def _stay(self, position: np.ndarray) -> np.ndarray:
        return position

    def _tell(self, numbers: np.ndarray, fingers: np.ndarray, position: np.ndarray) -> JointCommand:
        target = np.concatenate([numbers, fingers], axis=-1)
        zeros = np.zeros_like(target)
        return JointCommand(target, zeros, zeros, self._stiffness, self._damping)


class JointVelocityMode(_JointMode):
    """Joint velocities [rad/s or m/s], held by the damping of the real robot's loop; grippers by position.

    A joint without a position loop sinks under its weight as far as the damping lets it, as on the real robot; arms
    whose own controller compensates gravity do so in the model too (``gravcomp``).

    Args:
        robot: whose joints.
        damping_scale: the loop's damping over that of the position loop; velocity loops are stiffer.
    """

    guards: Guarded = "velocity"

    def __init__(self, robot: RobotModel, damping_scale: float = 10.0) -> None:
        super().__init__(robot)
        self._loop = self._damping.copy()
        self._loop[: self._count] *= damping_scale
        self._hold = self._stiffness.copy()
        self._hold[: self._count] = 0.0

    def _fields(self) -> tuple[Field, ...]:
        return self._field("joint_velocity", "rad/s", -self._velocity, self._velocity)

    def _tell(self, numbers: np.ndarray, fingers: np.ndarray, position: np.ndarray) -> JointCommand:
        target = np.concatenate([position[..., : self._count], fingers], axis=-1)
        velocity = np.concatenate([numbers, np.zeros_like(fingers)], axis=-1)
        return JointCommand(target, velocity, np.zeros_like(target), self._hold, self._loop)


class JointTorqueMode(_JointMode):
    """Joint torques [N·m or N]; grippers by position.

    Args:
        robot: whose joints.
    """

    guards: Guarded = "effort"

    def __init__(self, robot: RobotModel) -> None:
        super().__init__(robot)
        self._hold, self._drag = self._stiffness.copy(), self._damping.copy()
        self._hold[: self._count] = 0.0
        self._drag[: self._count] = 0.0

    def _fields(self) -> tuple[Field, ...]:
        return self._field("joint_torque", "N*m", -self._effort, self._effort)

    def _tell(self, numbers: np.ndarray, fingers: np.ndarray, position: np.ndarray) -> JointCommand:
        target = np.concatenate([position[..., : self._count], fingers], axis=-1)
        effort = np.concatenate([numbers, np.zeros_like(fingers)], axis=-1)
        return JointCommand(target, np.zeros_like(target), effort, self._hold, self._drag)
