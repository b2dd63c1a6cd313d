"""Inertia, bias forces, Jacobians and their rates of a floating-base robot, from MuJoCo in few C calls.

The quantities come from a ``MjData`` of its own that is only ever set to a measured state: the simulation's data is not
touched, and hardware needs no simulation at all. The model holds the robot alone.

Generalised velocity, shape ``(size,)``: the base's linear velocity in world axes [m/s], its angular velocity in the
base's axes [rad/s], then the velocities of the joints in the order asked for. Joints of the model that were not asked
for (jaws, say) are held still where the state has them: they weigh, but do not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, NonFiniteError, require_name
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel

BASE = 6
"""Degrees of freedom of a free base."""


@dataclass(frozen=True)
class Frame:
    """A frame fixed to a body of the model; get it from :meth:`Dynamics.site` or :meth:`Dynamics.body`."""

    name: str
    """As in the MJCF."""

    number: int
    """Site or body of the model."""

    is_site: bool
    """A site; otherwise a body."""

    def __hash__(self) -> int:  # frames are looked up dozens of times a tick
        return 2 * self.number + self.is_site


class Dynamics:
    """The equations of motion ``M a + h = S^T tau + J^T f`` at one measured state.

    ``h`` (:attr:`bias`) holds Coriolis, centrifugal and gravity forces minus passive ones (joint damping, springs). Dry
    friction of the joints is not in it.

    Args:
        robot: the robot alone, compiled with no scene; its base is free.
        joints: the joints that move, in the order wanted; the robot's own (without its grippers') when left out.

    Raises:
        ConfigError: if the base is fixed.
        UnknownNameError: if a joint is not one of the robot's driven joints.
    """

    def __init__(self, robot: RobotModel, joints: Sequence[str] | None = None) -> None:
        if robot.spec.base != "floating":
            raise ConfigError(
                "whole-body dynamics are for robots with a free base", where=robot.spec.name, got=robot.spec.base
            )
        self.robot = robot
        self.joints = tuple(robot.spec.joint_names if joints is None else joints)
        driven = robot.spec.driven_names
        for name in self.joints:
            require_name("joint", name, driven, where=f"robot {robot.spec.name!r}")
        self.index = np.array([driven.index(name) for name in self.joints], dtype=np.int64)
        """Place of each joint among the robot's driven joints, shape ``(joints,)``."""
        self.size = BASE + len(self.joints)
        """Degrees of freedom."""
        self._mujoco: Any = import_mujoco()
        self._model = robot.model
        self._data = self._mujoco.MjData(robot.model)
        self._columns = np.concatenate((np.arange(robot.base_dof.start, robot.base_dof.stop), robot.dof[self.index]))
        # the usual case: the model's degrees of freedom in the model's order, read without a copy by index
        first = int(self._columns[0])
        contiguous = np.array_equal(self._columns, np.arange(first, first + self.size))
        self._pick: slice | np.ndarray = slice(first, first + self.size) if contiguous else self._columns
        self._pick_block = (self._pick, self._pick) if contiguous else np.ix_(self._columns, self._columns)
        nv = self._model.nv
        self._full = np.zeros((nv, nv))
        self._force = np.zeros(nv)
        self.mass = float(self._model.body_subtreemass[robot.root])
        """Of the whole robot [kg]."""
        self.gravity = np.array(self._model.opt.gravity)
        """In world axes, shape ``(3,)`` [m/s²]."""
        self.velocity = np.zeros(self.size)
        """Generalised velocity, shape ``(size,)``."""
        self.joint_position = np.zeros(len(self.joints))
        """Of the joints asked for, shape ``(joints,)`` [rad or m]."""
        self._jacobians: dict[Frame, np.ndarray] = {}
        self._rates: dict[Frame, np.ndarray] = {}
        self._has_rates = False

    def site(self, name: str) -> Frame:
        """The frame of a site.

        Raises:
            UnknownNameError: if the model has no such site.
        """
        return Frame(name, self.robot.site(name), True)

    def body(self, name: str) -> Frame:
        """The frame of a body; see :meth:`site`."""
        return Frame(name, self.robot.body(name), False)

    @property
    def base(self) -> Frame:
        """The base's own frame."""
        return Frame(self.robot.spec.root, self.robot.root, False)

    def update(self, state: RobotState) -> None:
        """Take over a measured state; everything below is then of that state.

        Raises:
            NonFiniteError: if the state holds NaN or infinity.
        """
        robot, data, model, mujoco = self.robot, self._data, self._model, self._mujoco
        base = robot.base_qpos.start
        data.qpos[base : base + 3] = state.p_world_base
        data.qpos[base + 3 : base + 7] = state.q_world_base
        data.qpos[robot.qpos] = state.joint_position
        dof = robot.base_dof.start
        data.qvel[:] = 0.0
        data.qvel[dof : dof + 3] = state.v_world_base
        data.qvel[dof + 3 : dof + BASE] = state.w_base
        data.qvel[robot.dof[self.index]] = state.joint_velocity[self.index]
        if not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
            raise NonFiniteError(
                "the robot's state is not finite",
                where=f"dynamics of {robot.spec.name!r}",
                got=f"positions {data.qpos.tolist()}, velocities {data.qvel.tolist()}",
                remedy="hold the last command, and look at the state estimate",
            )
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_makeM(model, data)
        mujoco.mj_comVel(model, data)
        mujoco.mj_passive(model, data)
        mujoco.mj_rne(model, data, 0, self._force)
        mujoco.mj_fullM(model, data, self._full)
        self.velocity = data.qvel[self._pick].copy()
        self.joint_position = state.joint_position[self.index]
        self.inertia = self._full[self._pick_block]
        """Inertia matrix with the rotors' armature, shape ``(size, size)``."""
        self.bias = self._force[self._pick] - data.qfrc_passive[self._pick]
        """Forces at zero acceleration, shape ``(size,)``."""
        self._jacobians.clear()
        self._rates.clear()
        self._has_rates = False

    def position(self, frame: Frame) -> np.ndarray:
        """Origin of a frame in the world, shape ``(3,)`` [m]."""
        return (self._data.site_xpos if frame.is_site else self._data.xpos)[frame.number].copy()

    def rotation(self, frame: Frame) -> np.ndarray:
        """Its axes in the world, as the columns of a matrix, shape ``(3, 3)``."""
        return (self._data.site_xmat if frame.is_site else self._data.xmat)[frame.number].reshape(3, 3).copy()

    def jacobian(self, frame: Frame) -> np.ndarray:
        """From generalised to the frame's linear, then angular velocity, both in world axes, shape ``(6, size)``."""
        found = self._jacobians.get(frame)
        if found is None:
            full = np.zeros((6, self._model.nv))
            call = self._mujoco.mj_jacSite if frame.is_site else self._mujoco.mj_jacBody
            call(self._model, self._data, full[:3], full[3:], frame.number)
            found = self._jacobians[frame] = full[:, self._pick]
        return found

    def jacobian_rate(self, frame: Frame) -> np.ndarray:
        """The frame's linear and angular acceleration at zero generalised acceleration, world axes, shape ``(6,)``."""
        found = self._rates.get(frame)
        if found is None:
            mujoco = self._mujoco
            if not self._has_rates:  # the shadow's own acceleration stays zero, so these are velocity terms and gravity
                mujoco.mj_rnePostConstraint(self._model, self._data)
                self._has_rates = True
            spatial = np.empty(6)
            kind = mujoco.mjtObj.mjOBJ_SITE if frame.is_site else mujoco.mjtObj.mjOBJ_XBODY
            mujoco.mj_objectAcceleration(self._model, self._data, kind, frame.number, spatial, 0)
            found = np.concatenate((spatial[3:] + self.gravity, spatial[:3]))
            self._rates[frame] = found
        return found

    @property
    def com(self) -> np.ndarray:
        """Centre of mass of the robot in the world, shape ``(3,)`` [m]."""
        return self._data.subtree_com[self.robot.root].copy()

    @property
    def com_jacobian(self) -> np.ndarray:
        """From generalised velocity to the centre of mass's, shape ``(3, size)``.

        The base's linear rows of the inertia matrix are the robot's linear momentum.
        """
        return self.inertia[:3] / self.mass

    @property
    def com_jacobian_rate(self) -> np.ndarray:
        """Acceleration of the centre of mass at zero generalised acceleration, shape ``(3,)`` [m/s²]."""
        return self._force[self.robot.base_dof][:3] / self.mass + self.gravity

    def inverse(self, acceleration: np.ndarray) -> np.ndarray:
        """Generalised forces ``M a + h`` that go with an acceleration, shape ``(size,)``."""
        return self.inertia @ acceleration + self.bias
