"""What a simulated robot senses of itself, for one simulation or many at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.joint_modes import GripperMap
from robot_stack.sim.robots.model import RobotModel

XYZ = ("x", "y", "z")
ROT6D = ("xx", "xy", "xz", "yx", "yy", "yz")
"""The first two columns of a rotation matrix, one after the other (Zhou et al., CVPR 2019)."""


class RobotSenses:
    """Reads the robot's part of the state vector, and what controllers want to know.

    The state fields are, in order: ``joint_position`` and ``joint_velocity`` of the robot's joints; the opening of
    every gripper; for a floating base ``base_position`` and ``base_velocity`` (world axes), ``base_quaternion`` (wxyz)
    and ``base_angular_velocity`` (base axes); and for every end effector ``<name>_position`` and ``<name>_rotation``
    (6 numbers, see :data:`ROT6D`) in the world frame.

    Args:
        robot: whose.
    """

    def __init__(self, robot: RobotModel) -> None:
        spec = robot.spec
        self._robot = robot
        self._count = len(spec.joints)
        self._grippers = GripperMap(robot)
        self._sites = [robot.site(hand.site) for hand in spec.end_effectors]
        self._mount = robot.model.body_pos[robot.root].copy(), robot.model.body_quat[robot.root].copy()
        self.fields = self._describe()
        """The fields of :meth:`read`, in order."""

    def read(self, source: Any) -> np.ndarray:
        """The fields in a row.

        Args:
            source: ``mujoco.MjData``, or a ``mujoco.batch.Batch``; kinematics must be current.

        Returns:
            Shape ``(..., sum of sizes)``, float64; ``...`` is empty for ``MjData`` and ``(nsim,)`` for a batch.
        """
        robot, qpos, qvel = self._robot, source.qpos, source.qvel
        position = qpos[..., robot.qpos]
        parts = [position[..., : self._count], qvel[..., robot.dof[: self._count]]]
        if self._grippers.size:
            parts.append(self._grippers.openings(position[..., self._count :]))
        if robot.spec.base == "floating":
            base, dof = robot.base_qpos.start, robot.base_dof.start
            parts += [
                qpos[..., base : base + 3],
                qvel[..., dof : dof + 3],
                qpos[..., base + 3 : base + 7],
                qvel[..., dof + 3 : dof + 6],
            ]
        for site in self._sites:
            matrix = source.site_xmat[..., site, :]
            parts += [source.site_xpos[..., site, :], matrix[..., (0, 3, 6, 1, 4, 7)]]
        return np.concatenate(parts, axis=-1)

    def state(self, data: Any) -> RobotState:
        """What a controller sees.

        Args:
            data: ``mujoco.MjData``.
        """
        robot = self._robot
        feet = np.abs(data.sensordata[robot.foot_sensors])
        if robot.spec.base == "fixed":
            zero = np.zeros(3)
            return RobotState(data.time, data.qpos[robot.qpos], data.qvel[robot.dof], *self._mount, zero, zero, feet)
        pose, twist = data.qpos[robot.base_qpos].copy(), data.qvel[robot.base_dof].copy()
        return RobotState(
            data.time, data.qpos[robot.qpos], data.qvel[robot.dof], pose[:3], pose[3:], twist[:3], twist[3:], feet
        )

    def _describe(self) -> tuple[Field, ...]:
        spec, low, high = self._robot.spec, self._robot.low[: self._count], self._robot.high[: self._count]
        names = spec.joint_names
        own = [
            Field("joint_position", self._count, "rad", names, tuple(low.tolist()), tuple(high.tolist())),
            Field("joint_velocity", self._count, "rad/s", names),
        ]
        own += [Field(f"{g.name}_opening", 1, "1") for g in spec.grippers]
        if spec.base == "floating":
            own += [
                _axes("base_position", "m", XYZ),
                _axes("base_velocity", "m/s", XYZ),
                _axes("base_quaternion", "1", ("w", "x", "y", "z")),
                _axes("base_angular_velocity", "rad/s", XYZ),
            ]
        for hand in spec.end_effectors:
            own += [_axes(f"{hand.name}_position", "m", XYZ), _axes(f"{hand.name}_rotation", "1", ROT6D)]
        return tuple(own)


def _axes(name: str, unit: str, axes: tuple[str, ...]) -> Field:
    return Field(name, len(axes), unit, tuple(f"{name}_{axis}" for axis in axes))
