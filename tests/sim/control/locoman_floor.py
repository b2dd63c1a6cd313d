"""LocoMan on a flat floor, driven by joint commands as the simulated robot drives it; for tests of its modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import RobotModel, compile_robot, set_gains

mujoco: Any = import_mujoco()


def furnish(scene: Any) -> None:
    """A floor and a light."""
    scene.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    scene.option.impratio = 100.0
    scene.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(5.0, 5.0, 0.1), rgba=(0.55, 0.6, 0.65, 1.0)
    )
    scene.worldbody.add_light(pos=(0.5, -0.5, 3.0), dir=(-0.1, 0.1, -1.0))


class Floor:
    """One robot on its floor, at home."""

    def __init__(self) -> None:
        self.robot: RobotModel = compile_robot(LOCOMAN, furnish)
        self.alone: RobotModel = compile_robot(LOCOMAN)
        self.model = self.robot.model
        self.data = mujoco.MjData(self.model)
        self.effort = np.array([joint.effort for joint in LOCOMAN.driven])
        self.largest_share = 0.0
        """Largest torque applied so far as a share of its joint's limit, before clipping."""
        self.reset()

    def reset(self) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.robot.home_qpos()
        mujoco.mj_forward(self.model, self.data)
        self.largest_share = 0.0

    def state(self) -> RobotState:
        free, moving = self.data.qpos[self.robot.base_qpos], self.data.qvel[self.robot.base_dof]
        return RobotState(
            float(self.data.time),
            self.data.qpos[self.robot.qpos].copy(),
            self.data.qvel[self.robot.dof].copy(),
            free[:3].copy(),
            free[3:].copy(),
            moving[:3].copy(),
            moving[3:].copy(),
            np.abs(self.data.sensordata[self.robot.foot_sensors]),
        )

    def apply(self, command: JointCommand) -> None:
        set_gains(self.robot, command.stiffness, command.damping)
        control = command.effort + command.stiffness * command.position + command.damping * command.velocity
        self.data.ctrl[self.robot.actuator] = control
        mujoco.mj_step(self.model, self.data)
        share = np.abs(self.data.actuator_force[self.robot.actuator]) / self.effort
        self.largest_share = max(self.largest_share, float(share.max()))

    def run(self, seconds: float, control: Callable[[RobotState], JointCommand]) -> None:
        for _ in range(round(seconds / self.model.opt.timestep)):
            self.apply(control(self.state()))

    def push(self, force: np.ndarray) -> None:
        """A force on the trunk's centre, in world axes, until it is changed [N]."""
        self.data.xfrc_applied[self.robot.root, :3] = force

    @property
    def height(self) -> float:
        return float(self.data.xpos[self.robot.root, 2])

    @property
    def tilt(self) -> float:
        """Angle between the trunk's up axis and the world's [rad]."""
        return float(np.arccos(np.clip(self.data.xmat[self.robot.root, 8], -1.0, 1.0)))
