"""A robot we ship a model of, simulated in MuJoCo behind the Robot contract.

Every action goes controller → safety filter → actuators, at the controller's servo rate, as on the real robot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robot_stack.core.action import Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import require_name
from robot_stack.core.joint_control import Controller, JointCommand, RobotState, joint_force
from robot_stack.core.observation import Observation
from robot_stack.core.safety import Command, Measured, SafetyFilter
from robot_stack.sim.blow_up import FlightRecorder, PhysicsError, what_blew_up
from robot_stack.sim.control.joint_limits import joint_limits
from robot_stack.sim.disturbances import Disturbances
from robot_stack.sim.model_images import ModelImages
from robot_stack.sim.pristine import PristineModel
from robot_stack.sim.randomization import Randomization, draw_episode
from robot_stack.sim.rates import divide
from robot_stack.sim.render import Quality, import_mujoco
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robot_tasks.contract import RobotTask, Start
from robot_stack.sim.robots.model import RobotModel, compile_robot, number_of, set_gains
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.truth import Truth

ControllerMaker = Callable[[RobotModel], Controller]
"""Makes an action mode for a compiled robot, for example ``JointPositionMode``."""


@dataclass(frozen=True)
class MujocoRobotConfig:
    """How a simulated robot is seen and run."""

    cameras: tuple[str, ...] = ()
    """Cameras of the robot or the scene that are part of every observation."""

    image_height: int = 128
    """Rows of every camera's image [pixel]."""

    image_width: int = 128
    """Columns of every camera's image [pixel]."""

    quality: Quality = "fast"
    """Of the images, see :data:`robot_stack.sim.render.Quality`."""

    control_hz: float | None = None
    """Rate of observations and actions [Hz]; ``None`` takes the robot's own. An exact divisor of the physics rate."""

    dump_folder: str = "physics_dumps"
    """Where the last moments of a simulation that blew up are written; empty for nowhere."""


class MujocoRobot:
    """One robot with the scene of one task.

    Args:
        spec: which robot.
        task: furnishes the scene and says what can be seen of it.
        controller: makes the action mode from the compiled scene; the task's usual one when left out.
        config: cameras and rates.
        randomization: what differs in the robot from episode to episode; nothing when left out.

    Raises:
        ConfigError: if the rates do not divide each other, or a fixed base is to be pushed.
        RobotModelError: if the MJCF is not the robot's.
        UnknownNameError: if a camera or a state field with noise does not exist.
    """

    def __init__(
        self,
        spec: RobotSpec,
        task: RobotTask,
        controller: ControllerMaker | None = None,
        config: MujocoRobotConfig = MujocoRobotConfig(),
        randomization: Randomization | None = None,
    ) -> None:
        self._mujoco = import_mujoco()
        self.spec, self.task, self.config = spec, task, config
        self.robot: RobotModel = compile_robot(spec, lambda made: task.furnish(made, spec))
        """The compiled scene."""
        self.model = self.robot.model
        self.data: Any = self._mujoco.MjData(self.model)
        """MuJoCo's state; its truth scores the task."""
        self.truth = Truth(self.model, self.data)
        """The same by name."""
        self.controller: Controller = (controller or task.controller)(self.robot)
        self.senses = RobotSenses(self.robot)
        self._hz = config.control_hz or spec.control_hz
        self._ticks = divide(self.controller.servo_hz or self._hz, self._hz, "servo rate", "control rate")
        self._substeps = divide(
            1.0 / spec.physics_timestep_s, self.controller.servo_hz or self._hz, "physics rate", "servo rate"
        )
        for camera in config.cameras:
            require_name("camera", camera, self.robot.camera_names, where=f"robot {spec.name!r}")
        self._embodiment = describe_robot(
            self.robot,
            state=self.senses.fields + task.state_fields(),
            action=self.controller.fields,
            control_hz=self._hz,
            cameras=config.cameras,
            image_height=config.image_height,
            image_width=config.image_width,
        )
        self._randomization = randomization or Randomization()
        self._disturbances = Disturbances(
            self._randomization,
            state=self._embodiment.state,
            action_size=self._embodiment.action_size,
            control_hz=self._hz,
            floating=spec.base == "floating",
        )
        self._pristine = PristineModel(self.model)
        self._recorder = FlightRecorder(self.robot, config.dump_folder)
        self._images = ModelImages(self.model, config.quality)
        self._filter: SafetyFilter | None = None
        self._steps = 0
        self._observation: Observation | None = None
        self._rest: np.ndarray | None = None
        self.start_episode(0)

    @property
    def embodiment(self) -> Embodiment:
        """What it senses and does."""
        return self._embodiment

    @property
    def available_cameras(self) -> tuple[str, ...]:
        """Every camera of the robot and the scene."""
        return self.robot.camera_names

    def reset(self, seed: int | None = None) -> Observation:
        """Go to the start that belongs to ``seed``; ``None`` draws an unpredictable one."""
        self.start_episode(int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed)
        return self.observe()

    def start_episode(self, seed: int) -> None:
        """Draw the start that belongs to ``seed`` and go there."""
        self._pristine.restore()
        start = Start(self.robot, self.robot.home_qpos())
        self.task.start(start, np.random.Generator(np.random.PCG64(seed)))
        draw = draw_episode(self._randomization, self.robot, seed)
        self._pristine.change(start.changes, draw.factors)
        self._gain_factors = draw.stiffness, draw.damping
        self._mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = start.qpos
        self._mujoco.mj_forward(self.model, self.data)
        self._steps, self._observation, self._rest = 0, None, None
        state = self.senses.state(self.data)
        self.hold_action = self.controller.reset(state)
        """The action that means "stay as you are"."""
        seeds, latency = np.array([seed]), np.array([draw.latency])
        self._disturbances.restart(np.array([0]), seeds, latency, self.hold_action[None])
        command = self.controller.update(state)
        self._filter = SafetyFilter(joint_limits(self.robot, self.controller), self._period_s, self._guarded(command))
        self._actuate(command)
        self._recorder.restart(self.data, seed)

    def observe(self) -> Observation:
        """State and images after the last command; ``sequence`` counts commands since the reset."""
        if self._observation is None:
            true = np.concatenate([self.senses.read(self.data), self.task.state(self.truth)])
            numbers = self._disturbances.noisy(true[None])[0]
            images = {camera: self.render(camera) for camera in self.config.cameras}
            self._observation = Observation(numbers, images, self._steps / self._hz, self._steps)
        return self._observation

    def command(self, action: np.ndarray) -> Receipt:
        """Advance by one control step.

        Args:
            action: in the controller's fields, shape ``(action_size,)``. It is rounded to float32, the precision in
                which datasets keep it, so that a replayed episode is the recorded one. Where actions come late, the
                receipt holds this one within its limits, and the interventions are those on the one that arrived.

        Raises:
            ShapeError: if the action has another shape.
            NonFiniteError: if it holds NaN or infinity.
            PhysicsError: if the simulation blew up; its last moments are written to a file.
        """
        asked = self._embodiment.check_action(action).astype(np.float32).astype(np.float64)
        state = self.senses.state(self.data)
        accepted = self.controller.begin(self._disturbances.arriving(asked[None])[0], state)
        interventions = list(accepted.interventions)
        for tick in range(self._ticks):
            if tick:
                state = self.senses.state(self.data)
            interventions += self._servo(self.controller.update(state), state)
            if not tick:
                self._push()
            self._recorder.note(self.data)
            self._mujoco.mj_step(self.model, self.data, nstep=self._substeps)
        self._mujoco.mj_step1(self.model, self.data)
        self._steps += 1
        self._disturbances.advance()
        self._observation = None
        wrong = what_blew_up(self.data)
        if wrong:
            raise PhysicsError(wrong, self._recorder.dump(wrong, self._pristine.changed))
        sent = np.clip(asked, *self._embodiment.action_limits) if self._disturbances.delays else accepted.action
        return Receipt(sent, _once_each(interventions), self._steps / self._hz)

    def render(self, camera: str = "", height: int | None = None, width: int | None = None) -> np.ndarray:
        """What a camera sees now.

        Args:
            camera: a name of :attr:`available_cameras`; empty for the task's view.
            height: [pixel]; ``None`` for the configured one.
            width: [pixel]; likewise.

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``.

        Raises:
            RenderError: if no image can be made here.
            UnknownNameError: if there is no such camera.
        """
        number = number_of(self.model, "camera", camera or self.task.view)
        rows, columns = height or self.config.image_height, width or self.config.image_width
        return self._images.render(self.data, number, rows, columns)

    def stop(self, reason: str) -> None:
        """From now on every command makes the joints hold still, until the next reset."""
        if self._filter is not None:
            self._filter.stop(reason)

    def close(self) -> None:
        """Free the renderer; idempotent."""
        self._images.close()

    @property
    def _period_s(self) -> float:
        return self._substeps * self.spec.physics_timestep_s

    def _servo(self, command: JointCommand, state: RobotState) -> Sequence[Intervention]:
        """Let one joint command through the safety filter to the actuators."""
        guard = self._filter
        assert guard is not None
        now_s = self.data.time
        measured = Measured(now_s, position=state.joint_position, rate=state.joint_velocity)
        out = guard.tick(Command(self._guarded(command), now_s, self._steps), now_s=now_s, measured=measured)
        command = replace(command, **{self.controller.guards: out.action})
        self._actuate(command if guard.latched is None else self._at_rest(command, state))
        return out.interventions

    def _at_rest(self, command: JointCommand, state: RobotState) -> JointCommand:
        """Hold still with the robot's own gains: where the filter braked to, or where it stopped the joints."""
        if self.controller.guards == "position":
            self._rest = command.position
        elif self._rest is None:
            self._rest = np.clip(state.joint_position, self.robot.low, self.robot.high)
        zeros, driven = np.zeros(len(self.spec.driven)), self.spec.driven
        stiffness = np.array([joint.stiffness for joint in driven], dtype=np.float64)
        damping = np.array([joint.damping for joint in driven], dtype=np.float64)
        return JointCommand(self._rest, zeros, zeros, stiffness, damping)

    def _guarded(self, command: JointCommand) -> np.ndarray:
        return getattr(command, self.controller.guards)

    def _actuate(self, command: JointCommand) -> None:
        stiffness, damping = command.stiffness * self._gain_factors[0], command.damping * self._gain_factors[1]
        set_gains(self.robot, stiffness, damping)
        self.data.ctrl[self.robot.actuator] = joint_force(command, stiffness, damping)

    def _push(self) -> None:
        kicks = self._disturbances.kicks()
        if kicks is not None:
            self.data.qvel[self.robot.base_dof] += kicks[1][0]


def _once_each(interventions: list[Intervention]) -> tuple[Intervention, ...]:
    """Each reason once, with its first detail: a control step may have many servo ticks."""
    first: dict[str, Intervention] = {}
    for intervention in interventions:
        first.setdefault(intervention.reason, intervention)
    return tuple(first.values())
