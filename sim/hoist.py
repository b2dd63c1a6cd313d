"""A gantry that holds a floating base where a robot starts, as legged robots hang while their programs start."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel

SPRING = (2.0e4, 500.0)
"""Stiffness of the gantry along and about every axis [N/m, N·m/rad]; a G1 sinks by 2 cm when its legs go limp."""

DAMPING = (1.6e3, 40.0)
"""Likewise [N·s/m, N·m·s/rad]. It goes into the model, whose integrator treats it implicitly: limp limbs leave the
base so little inertia that a damper of forces would shake it apart."""


class Hoist:
    """Pulls the base towards a pose with springs and dampers; a robot that carries its own weight feels little.

    Args:
        robot: with a floating base.
    """

    def __init__(self, robot: RobotModel) -> None:
        self._mujoco = import_mujoco()
        self._robot = robot
        self._usual = robot.model.dof_damping[robot.base_dof].copy()
        self._pose = np.zeros(7)

    def catch(self, data: Any) -> None:
        """Hold the base where it is now."""
        robot = self._robot
        self._pose = data.qpos[robot.base_qpos].copy()
        robot.model.dof_damping[robot.base_dof] = np.repeat(DAMPING, 3)

    def pull(self, data: Any) -> None:
        """Apply the springs' force for the next steps."""
        robot = self._robot
        pose, turn = data.qpos[robot.base_qpos], np.empty(3)
        self._mujoco.mju_subQuat(turn, self._pose[3:], pose[3:])
        # Of a free joint, forces act in world axes and torques in the body's, as mju_subQuat gives them.
        force = np.concatenate([SPRING[0] * (self._pose[:3] - pose[:3]), SPRING[1] * turn])
        data.qfrc_applied[robot.base_dof] = force

    def let_go(self, data: Any) -> None:
        """No force any more."""
        data.qfrc_applied[self._robot.base_dof] = 0.0
        self._robot.model.dof_damping[self._robot.base_dof] = self._usual
