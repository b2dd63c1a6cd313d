"""The DeepMind Control Suite behind the Robot and Task contracts.

Every reset begins from the task's own random generator, seeded with the episode's seed. For equal generators and equal
actions the trajectory equals dm_control's own, bit for bit (tests/sim/test_dmc.py).

Success is ours, since the suite has none: the mean reward of the last ``success_steps`` control steps (a quarter of
the time limit) is at least ``success_reward``. Rewards lie in [0, 1] and 1 means that the task is being done, so a
reaching or balancing task succeeds by staying at its goal, a running task by keeping its speed, a sparse task by being
rewarded in that share of the steps. In the two ``lqr`` tasks, whose reward has no such meaning, success is coming to
rest (the task ends there).

Tassa et al., 2018, https://arxiv.org/abs/1801.00690; google-deepmind/dm_control.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import deque
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from robot_stack.core.action import Intervention, Receipt
from robot_stack.core.embodiment import Embodiment, model_hash
from robot_stack.core.errors import ConfigError, MissingExtraError, NonFiniteError, require_name
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.task import Score
from robot_stack.core.world import World
from robot_stack.sim.dmc_tasks import INSTRUCTIONS, split_name
from robot_stack.sim.render import OffscreenRenderer, Quality, render_error

UNBOUNDED = 1e9
"""dm_control's ``action_spec`` writes ±1e10 for an actuator without limits."""


@dataclass(frozen=True)
class DmcConfig:
    """Which task of the suite, seen how."""

    task: str = "cartpole-swingup"
    """``domain-task``, a name of :data:`robot_stack.sim.dmc_tasks.INSTRUCTIONS`."""

    cameras: tuple[str, ...] = ()
    """Names of the model's cameras (every domain has its own); empty for state only."""

    image_height: int = 84
    """Rows of every camera's image [pixel]."""

    image_width: int = 84
    """Columns of every camera's image [pixel]."""

    quality: Quality = "fast"
    """Of the images, see :data:`robot_stack.sim.render.Quality`."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's time limit, 1000 where it has none."""

    success_reward: float = 0.8
    """Mean reward that counts as success."""

    success_steps: int = 250
    """Over how many of the last control steps the mean is taken."""


class DmcRobot:
    """One domain of the suite. Commands beyond the actuators' range are clipped and reported as interventions.

    Commands are rounded to float32, the precision in which datasets keep them.
    """

    def __init__(self, config: DmcConfig) -> None:
        self.config = config
        domain, task = split_name(config.task)
        self.env = _load(domain, task)
        """The ``dm_control`` environment; its own ``step`` and ``reset`` are not used."""
        self.physics, self.task = self.env.physics, self.env.task
        self.substeps = int(self.env._n_sub_steps)
        self._hz = 1.0 / self.env.control_timestep()
        self.reset_physics(0)
        spec = self.task.action_spec(self.physics)
        self._low = np.where(spec.minimum < -UNBOUNDED, -np.inf, spec.minimum).astype(np.float64)
        self._high = np.where(spec.maximum > UNBOUNDED, np.inf, spec.maximum).astype(np.float64)
        self._embodiment = self._describe(domain)
        self._renderer: OffscreenRenderer | None = None
        self._state, self._steps = self._read(), 0

    @property
    def embodiment(self) -> Embodiment:
        """What it senses and does; state fields are dm_control's, each flattened row by row."""
        return self._embodiment

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        limit = self.env._step_limit
        return self.config.horizon or (1000 if math.isinf(limit) else math.ceil(limit))

    def reset(self, seed: int | None = None) -> Observation:
        """Start the episode that belongs to ``seed``; ``None`` draws an unpredictable one."""
        self.reset_physics(int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed)
        self._state, self._steps = self._read(), 0
        return self.observe()

    def reset_physics(self, seed: int) -> None:
        """What dm_control's ``reset`` does, with the task's generator seeded first."""
        self.task._random = np.random.RandomState(seed)
        self._terrain_is_shown = False
        with self.physics.reset_context():
            self.task.initialize_episode(self.physics)

    def observe(self) -> Observation:
        """State and images after the last command; ``sequence`` counts commands since the reset."""
        images = {camera: self.render(camera) for camera in self.config.cameras}
        return Observation(self._state, images, self._steps / self._hz, self._steps)

    def command(self, action: np.ndarray) -> Receipt:
        """Advance by one control step.

        Args:
            action: one number per actuator, shape ``(action_size,)``.

        Raises:
            ShapeError: if the action has another shape.
            NonFiniteError: if it holds NaN or infinity.
        """
        asked = self._embodiment.check_action(action)
        if not np.isfinite(asked).all():
            raise NonFiniteError("an action is not finite", where="DmcRobot.command", got=asked.tolist())
        sent = np.minimum(np.maximum(asked, self._low), self._high)
        changed = np.flatnonzero(sent != asked)
        sent = sent.astype(np.float32).astype(np.float64)
        self.task.before_step(sent, self.physics)
        self.physics.step(self.substeps)
        self.task.after_step(self.physics)
        self._state = self._read()
        self._steps += 1
        names = self._embodiment.action_names
        interventions = tuple(Intervention("limit", f"{names[i]} {asked[i]:.4g} → {sent[i]:g}") for i in changed)
        return Receipt(sent, interventions, self._steps / self._hz)

    def render(self, camera: str, height: int | None = None, width: int | None = None) -> np.ndarray:
        """What a camera sees now.

        Args:
            camera: name of a camera of the model.
            height: [pixel]; ``None`` for the configured one, at most the larger of that and 480.
            width: [pixel]; likewise, at most the larger of that and 640.

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``.

        Raises:
            RenderError: if no image can be made here.
            UnknownNameError: if the model has no such camera.
        """
        number = self.cameras.index(require_name("camera", camera, self.cameras, where=self.config.task))
        config, model = self.config, self.physics.model.ptr
        if self._renderer is None:
            largest = (max(480, config.image_height), max(640, config.image_width))
            self._renderer = OffscreenRenderer(model, *largest, config.quality)
        if not self._terrain_is_shown:
            self._renderer.upload_terrain()
            self._terrain_is_shown = True
        data = self.physics.data.ptr
        return self._renderer.render(data, number, height or config.image_height, width or config.image_width)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the model's cameras."""
        model = self.physics.model.ptr
        return tuple(model.camera(i).name for i in range(model.ncam))

    def stop(self, reason: str) -> None:
        """Nothing moves between commands."""

    def close(self) -> None:
        """Free the renderer and the simulation; idempotent."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _read(self) -> np.ndarray:
        values = self.task.get_observation(self.physics).values()
        return np.concatenate([np.asarray(v, dtype=np.float64).ravel() for v in values])

    def _describe(self, domain: str) -> Embodiment:
        for name in self.config.cameras:
            require_name("camera", name, self.cameras, where=f"DmcConfig.cameras of {self.config.task}")
        seen = self.task.get_observation(self.physics)
        low, high = tuple(self._low.tolist()), tuple(self._high.tolist())
        model = resources.files("dm_control.suite").joinpath(f"{domain}.xml").read_bytes()
        height, width = self.config.image_height, self.config.image_width
        return Embodiment(
            name=f"dmc/{domain}",
            state=tuple(Field(name, int(np.size(value)), "mixed") for name, value in seen.items()),
            action=(Field("control", len(low), "1", (), low, high),),
            cameras=tuple(CameraSpec(c, height, width) for c in self.config.cameras),
            control_hz=self._hz,
            limits=SafetyLimits(low=low, high=high),
            model_sha256=model_hash(model),
        )


class DmcTask:
    """One task of the suite, with its own reward and our definition of success (see the module)."""

    milestones = ("rewarded", "success")
    """rewarded: the step's reward is at least 0.5."""

    def __init__(self, robot: DmcRobot) -> None:
        self._robot = robot
        self._last: deque[float] = deque(maxlen=robot.config.success_steps)

    @property
    def name(self) -> str:
        """For example ``"dmc/cartpole-swingup"``."""
        return f"dmc/{self._robot.config.task}"

    @property
    def instruction(self) -> str:
        """What to do, in words."""
        return INSTRUCTIONS[self._robot.config.task]

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        return self._robot.horizon

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Start the episode that belongs to ``seed``.

        Raises:
            ConfigError: if ``robot`` is not the one this task was made with.
        """
        if robot is not self._robot:
            raise ConfigError("a DMControl task can only reset the robot it was made with", got=type(robot).__name__)
        self._last.clear()
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """dm_control's reward, and success as the module says, for the simulator's present state."""
        robot = self._robot
        reward = float(robot.task.get_reward(robot.physics))
        terminated = robot.task.get_termination(robot.physics) is not None
        self._last.append(reward)
        if robot.config.task.startswith("lqr-"):
            success = terminated
        else:
            full = len(self._last) == self._last.maxlen
            success = full and sum(self._last) / len(self._last) >= robot.config.success_reward
        return Score(reward, success, (reward >= 0.5, success), terminated)


def make_dmc(config: DmcConfig = DmcConfig()) -> World:
    """One task of the suite; with ``config`` bound by ``functools.partial`` it is a ``WorldMaker``.

    Raises:
        UnknownNameError: if the task or a camera does not exist.
        MissingExtraError: if dm_control is not installed.
    """
    robot = DmcRobot(config)
    return World(robot, DmcTask(robot))


def _load(domain: str, task: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GLFW complains about the missing display when dm_control is imported
            from dm_control import suite
    except ImportError as error:
        raise MissingExtraError("DMControl", extra="sim", package=error.name or "dm_control") from error
    except (RuntimeError, AttributeError, OSError) as error:  # dm_control loads its graphics backend at import
        raise render_error(os.environ.get("MUJOCO_GL", ""), error) from error
    env = suite.load(domain, task, task_kwargs={"random": 0})
    physics = env.physics
    # dm_control makes a graphics context to upload terrain in quadruped-escape; our renderer does that itself.
    physics.__class__ = type(type(physics).__name__, (type(physics),), {"contexts": None})
    return env
