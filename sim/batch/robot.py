"""Many simulations of one robot in one scene: their models, actuators, physics and senses.

One row does what one :class:`~robot_stack.sim.mujoco_robot.MujocoRobot` does, bit for bit and whatever the number of
threads: the same limits, gains, delays, pushes, physics steps and observations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.joint_control import JointCommand, joint_force
from robot_stack.sim.batch.config import BatchConfig, BlowUp
from robot_stack.sim.batch.episode_models import EpisodeModels
from robot_stack.sim.batch.flight import BatchFlightRecorder
from robot_stack.sim.batch.images import BatchImages
from robot_stack.sim.batch.limiter import BatchMotionLimiter
from robot_stack.sim.batch.modes import require_joint_mode
from robot_stack.sim.batch.source import BatchSource
from robot_stack.sim.control.joint_limits import joint_limits
from robot_stack.sim.disturbances import Disturbances
from robot_stack.sim.mujoco_robot import ControllerMaker
from robot_stack.sim.pristine import model_array
from robot_stack.sim.randomization import Randomization, draw_episode
from robot_stack.sim.rates import divide
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robot_tasks.contract import RobotTask, Scores, Start
from robot_stack.sim.robots.model import RobotModel, compile_robot, set_gains
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.truth import Truth


class BatchRobot:
    """The robots of a batch; :class:`~robot_stack.sim.batch.world.BatchWorld` runs their episodes.

    Args:
        spec: which robot.
        task: furnishes the scene and scores it.
        nsim: how many.
        controller: makes the action mode.
        config: threads and rates.
        randomization: what differs in the robot from episode to episode.

    Raises:
        ConfigError: if the action mode cannot be followed by many robots at once, if rates do not divide each other, or
            if a fixed base is to be pushed.
        RobotModelError: if the MJCF is not the robot's.
        UnknownNameError: if there is to be noise on a state field that does not exist.
    """

    def __init__(
        self,
        spec: RobotSpec,
        task: RobotTask,
        nsim: int,
        controller: ControllerMaker,
        config: BatchConfig,
        randomization: Randomization,
    ) -> None:
        self.task, self.nsim, self._randomization = task, nsim, randomization
        self.model: RobotModel = compile_robot(spec, lambda made: task.furnish(made, spec))
        """The compiled scene."""
        made = controller(self.model)
        self.mode = require_joint_mode(made)
        """The action mode."""
        hz = config.control_hz or spec.control_hz
        self.substeps = divide(1.0 / spec.physics_timestep_s, hz, "physics rate", "control rate")
        """Physics steps in a control step."""
        self._senses = RobotSenses(self.model)
        state = self._senses.fields + task.state_fields()
        self.embodiment: Embodiment = describe_robot(self.model, state=state, action=self.mode.fields, control_hz=hz)
        """What every one of them senses and does."""
        self._limiter = BatchMotionLimiter(
            joint_limits(self.model, made), self.substeps * spec.physics_timestep_s, nsim, len(spec.driven)
        )
        self._disturbances = Disturbances(
            randomization,
            state=state,
            action_size=self.embodiment.action_size,
            control_hz=hz,
            floating=spec.base == "floating",
            nsim=nsim,
        )
        self._set_gains()
        self._open(config)
        self._warm_up()

    @property
    def joint_position(self) -> np.ndarray:
        """Of every driven joint, shape ``(nsim, driven)`` [rad or m]."""
        return self._source.qpos[:, self.model.qpos]

    def begin(self, rows: np.ndarray, seeds: np.ndarray) -> None:
        """Go to the starts that belong to seeds.

        Args:
            rows: in these simulations, shape ``(n,)``.
            seeds: of the episodes, shape ``(n,)``.
        """
        starts = [Start(self.model, self._home.copy()) for _ in rows]
        for start, seed in zip(starts, seeds, strict=True):
            self.task.start(start, np.random.Generator(np.random.PCG64(int(seed))))
        draws = [draw_episode(self._randomization, self.model, int(seed)) for seed in seeds]
        self._models.write(rows, [start.changes for start in starts], draws)
        if self._kp.ndim == 2:
            self._kp[rows] = self._mode_kp * np.stack([draw.stiffness for draw in draws])
            self._kd[rows] = self._mode_kd * np.stack([draw.damping for draw in draws])
            self._models.write_gains(rows, self._kp[rows], self._kd[rows])
        self._place(rows, np.stack([start.qpos for start in starts]))
        position = self.joint_position[rows]
        hold = self.mode.hold(position)
        self._disturbances.restart(rows, seeds, np.array([draw.latency for draw in draws]), hold)
        command = self.mode.joint_command(self.mode.within_limits(hold), position)
        self._limiter.restart(rows, getattr(command, self.mode.guards))
        self._actuate(command, rows)
        self._recorder.restart(rows)

    def drive(self, asked: np.ndarray) -> np.ndarray:
        """Turn actions into controls, and push bases.

        Args:
            asked: finite, shape ``(nsim, action_size)``.

        Returns:
            Whose action was changed by its limits or by the limits on motion, bool of shape ``(nsim,)``.
        """
        arrived = self._disturbances.arriving(asked)
        taken = self.mode.within_limits(arrived)
        command = self.mode.joint_command(taken, self.joint_position)
        wanted = getattr(command, self.mode.guards)
        sent = self._limiter.move(wanted)
        self._actuate(replace(command, **{self.mode.guards: sent}))
        kicks = self._disturbances.kicks()
        if kicks is not None:
            self._source.qvel[kicks[0], self.model.base_dof] += kicks[1]
        return (taken != arrived).any(axis=1) | (sent != wanted).any(axis=1)

    def advance(self, rows: np.ndarray | None, seeds: np.ndarray) -> tuple[BlowUp, ...]:
        """Run the physics of one control step.

        Simulations that blow up are put back to the robot's home at rest, so that nothing that is not finite remains.

        Args:
            rows: of these simulations, ``None`` for all.
            seeds: of the episodes that run, shape ``(nsim,)``, for the dumps.

        Returns:
            Those that blew up.
        """
        from mujoco.batch import SimulationError

        self._recorder.note()
        errors: dict[int, str] = {}
        try:
            self.batch.step(ids=rows, nstep=self.substeps, stage=self._current)
        except SimulationError as error:
            errors = {int(sim): self.batch.error(int(sim)) for sim in error.ids}
        self._disturbances.advance(slice(None) if rows is None else rows)
        blown = self._recorder.blown()
        if not errors and not blown.any():
            return ()
        told = [self._tell(int(sim), int(seeds[sim]), errors) for sim in sorted({*np.flatnonzero(blown), *errors})]
        self._place(np.array([blow_up.sim for blow_up in told]), self._home)
        return tuple(told)

    def observe(self, rows: np.ndarray | None = None) -> np.ndarray:
        """State vectors as they are sensed, shape ``(nsim or n, state_size)``.

        Args:
            rows: of these simulations only, ``None`` for all.
        """
        if rows is None:
            true = np.concatenate([self._senses.read(self._source), self.task.state(self._truth)], axis=-1)
            return self._disturbances.noisy(true)
        some = self._source.rows(rows)
        own = self.task.state(Truth(self.model.model, some))
        return self._disturbances.noisy(np.concatenate([self._senses.read(some), own], axis=-1), rows)

    def score(self) -> Scores:
        """How the task stands in every simulation."""
        return self.task.score(self._truth)

    def _set_gains(self) -> None:
        """The mode's gains, which are the compiled model's from here on; a row each where they are randomised."""
        self._home = self.model.home_qpos()
        home = self._home[self.model.qpos]
        command = self.mode.joint_command(self.mode.within_limits(self.mode.hold(home)), home)
        self._kp = self._mode_kp = command.stiffness
        self._kd = self._mode_kd = command.damping
        set_gains(self.model, self._kp, self._kd)
        one = (1.0, 1.0)
        if self._randomization.stiffness_scale != one or self._randomization.damping_scale != one:
            self._kp, self._kd = np.tile(self._kp, (self.nsim, 1)), np.tile(self._kd, (self.nsim, 1))

    def _open(self, config: BatchConfig) -> None:
        from mujoco.batch import Batch

        self._current = import_mujoco().mjtStage.mjSTAGE_VEL.value
        self.batch: Any = Batch(self.model.model, self.nsim, config.threads, config.persistent)
        """MuJoCo's simulations; what is bound is refreshed by every step."""
        self._source = BatchSource(self.batch)
        self._truth = Truth(self.model.model, self._source)
        self._models = EpisodeModels(self.model, self.batch, self._source)
        self._recorder = BatchFlightRecorder(self.model, self.batch, config.dump_folder, config.max_dumps)
        self.images = BatchImages(self.model, self.batch, self._models)
        """Renders single simulations."""

    def _warm_up(self) -> None:
        """Bring every simulation home and read everything once: a field is filled from the call after its first use."""
        self.batch.qpos[:] = self._home
        with np.errstate(all="ignore"):
            self.observe()
            self.score()
        self.batch.forward()

    def _place(self, rows: np.ndarray, qpos: np.ndarray) -> None:
        none = import_mujoco().mjtStage.mjSTAGE_NONE.value
        self.batch.reset(ids=rows, stage=none)
        self.batch.qpos[rows] = qpos
        self.batch.forward(ids=rows)

    def _actuate(self, command: JointCommand, rows: np.ndarray | None = None) -> None:
        kp, kd = (self._kp, self._kd) if rows is None or self._kp.ndim == 1 else (self._kp[rows], self._kd[rows])
        force = joint_force(command, kp, kd)
        if rows is None:
            self._source.ctrl[:, self.model.actuator] = force
        else:
            self._source.ctrl[rows[:, None], self.model.actuator] = force

    def _tell(self, sim: int, seed: int, errors: dict[int, str]) -> BlowUp:
        what = errors.get(sim) or self._recorder.what(sim)
        gains = self._models.of(sim).get("actuator_biasprm", model_array(self.model.model, "actuator_biasprm"))[:, 1:3]
        dump = self._recorder.dump(sim, seed, what, gains, lambda: self._models.of(sim))
        return BlowUp(sim, seed, what, dump)
