"""The whole-body controller: from contacts and tasks to positions, velocities and torques of the joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.hierarchy import Damping, Motion, solve_hierarchy
from robot_stack.sim.control.whole_body.qp import InverseDynamics, QpConfig, Solution
from robot_stack.sim.control.whole_body.tasks import Task, stacked
from robot_stack.sim.robots.model import RobotModel


@dataclass(frozen=True)
class WholeBodyConfig:
    """How a whole-body controller behaves, whatever its tasks."""

    qp: QpConfig = field(default_factory=QpConfig)
    """Contact forces and torques."""

    damping: Damping = field(default_factory=Damping)
    """Near singularities."""

    effort_share: float = 1.0
    """Share of each joint's largest effort that torques fed forward may use, above 0 and at most 1."""

    joint_acceleration: float = 200.0
    """Joint accelerations asked for are clipped to this [rad/s²]."""

    joint_velocity: float = 10.0
    """Joint velocities asked for are clipped to this [rad/s]."""

    joint_step: float = 0.3
    """Joints are sent at most this far from where they are [rad]."""

    joint_margin: float = 0.02
    """Joints are sent no nearer to their position limits than this [rad]."""

    def __post_init__(self) -> None:
        if not 0.0 < self.effort_share <= 1.0:
            raise ConfigError("effort_share must be above 0 and at most 1", got=self.effort_share)


@dataclass(frozen=True, eq=False)
class WholeBodyCommand:
    """What the joints of the dynamics are told, each of shape ``(joints,)``."""

    position: np.ndarray
    """Where to go, within the position limits [rad or m]."""

    velocity: np.ndarray
    """How fast [rad/s or m/s]."""

    torque: np.ndarray
    """Fed forward, within the torque limits [N·m or N]."""

    solution: Solution
    """Forces, accelerations and the status of the programme."""

    motion: Motion
    """What the hierarchy asked for."""


class WholeBodyController:
    """Serves tasks in strict order of priority with forces that the contacts can bear.

    Args:
        robot: the robot alone, compiled with no scene.
        joints: the joints that move; the robot's own, without its grippers, when left out.
        config: how it behaves.
    """

    def __init__(
        self, robot: RobotModel, joints: Sequence[str] | None = None, config: WholeBodyConfig | None = None
    ) -> None:
        self.config = WholeBodyConfig() if config is None else config
        self.dynamics = Dynamics(robot, joints)
        """At the state of the last :meth:`update`."""
        index = self.dynamics.index
        effort = np.array([joint.effort for joint in robot.spec.driven])[index]
        self._inverse = InverseDynamics(self.dynamics, self.config.effort_share * effort, self.config.qp)
        low, high = robot.low[index], robot.high[index]
        margin = np.minimum(self.config.joint_margin, 0.5 * (high - low))
        self._low, self._high = low + margin, high - margin

    def update(self, state: RobotState) -> None:
        """Take over a measured state.

        Raises:
            NonFiniteError: if it holds NaN or infinity.
        """
        self.dynamics.update(state)

    def solve(
        self, contacts: Sequence[Contact], levels: Sequence[Sequence[Task]], force: np.ndarray | None = None
    ) -> WholeBodyCommand:
        """One tick, at the state of the last :meth:`update`.

        Args:
            contacts: points that stand still and bear force.
            levels: groups of tasks, highest priority first; those of one group share their priority.
            force: contact forces to stay near to, see :meth:`InverseDynamics.solve`.
        """
        dynamics, config = self.dynamics, self.config
        demands = [stacked([task.demand(dynamics) for task in level]) for level in levels if level]
        motion = solve_hierarchy(dynamics, contact_demand(dynamics, contacts), demands, config.damping)
        acceleration = motion.acceleration.copy()
        limit = config.joint_acceleration
        acceleration[BASE:] = np.minimum(np.maximum(acceleration[BASE:], -limit), limit)
        solution = self._inverse.solve(contacts, acceleration, motion.contact_free, force)
        step = np.minimum(np.maximum(motion.step[BASE:], -config.joint_step), config.joint_step)
        limit = config.joint_velocity
        return WholeBodyCommand(
            np.minimum(np.maximum(dynamics.joint_position + step, self._low), self._high),
            np.minimum(np.maximum(motion.velocity[BASE:], -limit), limit),
            solution.torque,
            solution,
            motion,
        )
