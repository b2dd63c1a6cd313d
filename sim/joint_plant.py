"""A simulated robot in its task's scene, moved by joint commands alone: the body behind an emulator of electronics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import slices_of
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand, joint_force
from robot_stack.sim.hoist import Hoist
from robot_stack.sim.model_images import ModelImages
from robot_stack.sim.pristine import PristineModel
from robot_stack.sim.rates import divide
from robot_stack.sim.render import Quality, import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robot_tasks.contract import RobotTask, Start
from robot_stack.sim.robots.model import RobotModel, compile_robot, number_of, set_gains
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.truth import Truth

GRAVITY = 9.81
"""What an accelerometer at rest shows [m/s²]."""


class MujocoPlant:
    """Implements :class:`robot_stack.core.joint_plant.JointPlant` with MuJoCo.

    The physics, starts and scores are those of :class:`robot_stack.sim.mujoco_robot.MujocoRobot`; controller and safety
    filter are not here: they run where they run on the real robot.

    Args:
        spec: which robot.
        task: furnishes the scene and scores.
        servo_hz: how often commands come [Hz]; divides the physics rate.
        quality: of the images.

    Raises:
        ConfigError: if the rates do not divide each other.
        RobotModelError: if the MJCF is not the robot's.
    """

    def __init__(self, spec: RobotSpec, task: RobotTask, servo_hz: float = 500.0, quality: Quality = "fast") -> None:
        self._mujoco = import_mujoco()
        self.task = task
        self.robot: RobotModel = compile_robot(spec, lambda made: task.furnish(made, spec))
        """The compiled scene."""
        self.data: Any = self._mujoco.MjData(self.robot.model)
        """MuJoCo's state."""
        self._substeps = divide(1.0 / spec.physics_timestep_s, servo_hz, "physics rate", "servo rate")
        self._period_s = self._substeps * spec.physics_timestep_s
        self._truth = Truth(self.robot.model, self.data)
        self._senses = RobotSenses(self.robot)
        self._slices = slices_of(self._senses.fields)
        self._task_slices = slices_of(task.state_fields())
        self._pristine = PristineModel(self.robot.model)
        self._images = ModelImages(self.robot.model, quality)
        self._sequence = 0
        self._hoist = Hoist(self.robot) if spec.base == "floating" else None
        self._hoisted = False
        self.reset(0)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every driven joint, in the order of ``RobotSpec.driven``."""
        return self.robot.spec.driven_names

    @property
    def period_s(self) -> float:
        """Time that one :meth:`advance` lets pass [s]."""
        return self._period_s

    def hoist(self, up: bool) -> None:
        """Hang a floating base up where it is now, or let it down; after a reset nothing hangs."""
        if self._hoist is None:
            return
        if up and not self._hoisted:
            self._hoist.catch(self.data)
        if not up:
            self._hoist.let_go(self.data)
        self._hoisted = up

    def reset(self, seed: int) -> None:
        """Go to the start that belongs to ``seed``."""
        self._pristine.restore()
        start = Start(self.robot, self.robot.home_qpos())
        self.task.start(start, np.random.Generator(np.random.PCG64(seed)))
        self._pristine.change(start.changes, {})
        self._mujoco.mj_resetData(self.robot.model, self.data)
        self.hoist(False)
        self.data.qpos[:] = start.qpos
        self._mujoco.mj_forward(self.robot.model, self.data)
        self._sequence = 0

    def advance(self, command: JointCommand | None) -> None:
        """Let one period pass; a command's torque goes through the actuators' limits.

        Raises:
            ConfigError: if the command is not of this robot's size.
        """
        robot = self.robot
        if command is None:
            zero = np.zeros(len(robot.actuator))
            command = JointCommand(zero, zero, zero, zero, zero)
        if command.position.shape != robot.actuator.shape:
            raise ConfigError(
                "a joint command is of another robot", got=command.position.shape, expected=robot.actuator.shape
            )
        set_gains(robot, command.stiffness, command.damping)
        self.data.ctrl[robot.actuator] = joint_force(command, command.stiffness, command.damping)
        if self._hoisted and self._hoist is not None:
            self._hoist.pull(self.data)
        self._mujoco.mj_step(robot.model, self.data, nstep=self._substeps)
        self._mujoco.mj_step1(robot.model, self.data)
        self._sequence += 1

    def read(self) -> BusState:
        """What the robot's sensors say now."""
        robot, data = self.robot, self.data
        effort = data.actuator_force[robot.actuator].copy()
        position, velocity = data.qpos[robot.qpos], data.qvel[robot.dof]
        if robot.spec.base == "fixed":
            return BusState(data.time, self._sequence, position, velocity, effort)
        q_world_base = data.qpos[robot.base_qpos][3:].copy()
        return BusState(
            data.time,
            self._sequence,
            position,
            velocity,
            effort,
            q_world_base=q_world_base,
            w_base=data.qvel[robot.base_dof][3:].copy(),
            a_base=self._proper_acceleration(q_world_base),
            foot_force=np.abs(data.sensordata[robot.foot_sensors]),
        )

    def tracked(self) -> Mapping[str, np.ndarray]:
        """Position and velocity of a floating base, and the task's state fields."""
        out: dict[str, np.ndarray] = {}
        if self.robot.spec.base == "floating":
            own = self._senses.read(self.data)
            out = {name: own[self._slices[name]] for name in ("base_position", "base_velocity")}
        task = self.task.state(self._truth)
        return out | {name: task[part].copy() for name, part in self._task_slices.items()}

    def score(self) -> tuple[float, bool, bool]:
        """Reward, success, failure of the task now."""
        scores = self.task.score(self._truth)
        return float(scores.reward), bool(scores.success), bool(scores.failed)

    def render(self, camera: str = "", height: int = 480, width: int = 640) -> np.ndarray:
        """What a camera sees, RGB uint8 of shape ``(height, width, 3)``; empty for the task's view.

        Raises:
            RenderError: if no image can be made here.
            UnknownNameError: if there is no such camera.
        """
        number = number_of(self.robot.model, "camera", camera or self.task.view)
        return self._images.render(self.data, number, height, width)

    def close(self) -> None:
        """Free the renderer; idempotent."""
        self._images.close()

    def _proper_acceleration(self, q_world_base: np.ndarray) -> np.ndarray:
        """Of the base frame's origin, in its own axes, as an accelerometer there shows it [m/s²]."""
        a_world = self.data.qacc[self.robot.base_dof][:3] + np.array([0.0, 0.0, GRAVITY])
        a_base, back = np.empty(3), np.empty(4)
        self._mujoco.mju_negQuat(back, q_world_base)
        self._mujoco.mju_rotVecQuat(a_base, a_world, back)
        return a_base
