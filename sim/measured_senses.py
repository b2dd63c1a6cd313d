"""The state vector of a robot from what it measures, by the same kinematics and in the same order as in simulation."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import RobotState
from robot_stack.core.senses import Tracked
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robots.model import RobotModel

BASE_TRACKED = ("base_position", "base_velocity")
"""State fields of a floating base that no sensor on it measures."""


class BaseEstimator(Protocol):
    """Fills in position and velocity of a floating base from what the robot measures itself."""

    def reset(self, state: RobotState) -> None:
        """The robot stands still here."""
        ...

    def update(self, state: RobotState) -> RobotState:
        """The state with ``p_world_base`` and ``v_world_base`` filled in."""
        ...


class MeasuredSenses:
    """Implements :class:`robot_stack.core.senses.Senses`.

    Args:
        robot: compiled as in simulation, so that frames agree.
        task_fields: what has to be seen of the task; tracked.
        estimator: of the base; left out, ``base_position`` and ``base_velocity`` are tracked.
    """

    def __init__(
        self, robot: RobotModel, task_fields: tuple[Field, ...] = (), estimator: BaseEstimator | None = None
    ) -> None:
        self._mujoco = import_mujoco()
        self._robot = robot
        self._data = self._mujoco.MjData(robot.model)
        self._data.qpos[:] = robot.home_qpos()
        self._own = RobotSenses(robot)
        self._mount = robot.model.body_pos[robot.root].copy(), robot.model.body_quat[robot.root].copy()
        self._task_fields = task_fields
        self._estimator = estimator
        self._floating = robot.spec.base == "floating"
        self._feet = len(robot.spec.feet)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The robot's own, then the task's."""
        return self._own.fields + self._task_fields

    @property
    def tracked_fields(self) -> tuple[Field, ...]:
        """The task's, and the base's where nothing estimates them."""
        base = self._floating and self._estimator is None
        return tuple(f for f in self._own.fields if base and f.name in BASE_TRACKED) + self._task_fields

    def reset(self, bus: BusState, tracked: Tracked) -> None:
        """The robot stands still as ``bus`` says."""
        if self._estimator is not None:
            self._estimator.reset(self._measured(bus, np.zeros(3), np.zeros(3)))

    def state(self, bus: BusState, tracked: Tracked) -> RobotState:
        """See :meth:`robot_stack.core.senses.Senses.state`."""
        if not self._floating:
            zero = np.zeros(3)
            return RobotState(bus.time_s, bus.joint_position, bus.joint_velocity, *self._mount, zero, zero, np.zeros(0))
        if self._estimator is not None:
            return self._estimator.update(self._measured(bus, np.zeros(3), np.zeros(3)))
        return self._measured(bus, tracked["base_position"], tracked["base_velocity"])

    def vector(self, state: RobotState, tracked: Tracked) -> np.ndarray:
        """See :meth:`robot_stack.core.senses.Senses.vector`."""
        robot, data = self._robot, self._data
        data.qpos[robot.qpos], data.qvel[robot.dof] = state.joint_position, state.joint_velocity
        if self._floating:
            base, dof = robot.base_qpos.start, robot.base_dof.start
            data.qpos[base : base + 3], data.qpos[base + 3 : base + 7] = state.p_world_base, state.q_world_base
            data.qvel[dof : dof + 3], data.qvel[dof + 3 : dof + 6] = state.v_world_base, state.w_base
        self._mujoco.mj_kinematics(robot.model, data)
        return np.concatenate([self._own.read(data), *(tracked[f.name] for f in self._task_fields)])

    def _measured(self, bus: BusState, p_world_base: np.ndarray, v_world_base: np.ndarray) -> RobotState:
        if bus.q_world_base is None or bus.w_base is None:
            raise KeyError("the robot's inertial sensor")
        feet = bus.foot_force if len(bus.foot_force) == self._feet else np.zeros(self._feet)
        return RobotState(
            bus.time_s,
            bus.joint_position,
            bus.joint_velocity,
            p_world_base,
            bus.q_world_base,
            v_world_base,
            bus.w_base,
            feet,
        )
