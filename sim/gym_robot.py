"""Any registered Gymnasium environment behind the Robot and Task contracts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.action import Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, MissingExtraError, NonFiniteError, UnknownNameError
from robot_stack.core.fields import CameraSpec
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.task import Score
from robot_stack.core.world import World

CAMERA = "render"
"""Name of the camera that shows what the environment renders."""


@dataclass(frozen=True)
class GymnasiumConfig:
    """Which Gymnasium environment."""

    env_id: str = "CartPole-v1"
    """As ``gymnasium.make`` takes it: ``"CartPole-v1"``, or ``"module:Name-v0"`` to import a module first."""

    options: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments of the environment, as pairs of name and value."""

    camera: bool = False
    """Whether what the environment renders (``rgb_array``) is camera ``"render"``."""

    control_hz: float | None = None
    """Control rate [Hz]; ``None`` takes the environment's ``dt``, otherwise its ``render_fps``."""

    horizon: int | None = None
    """Longest episode [steps]; ``None`` takes the registered limit, 1000 where there is none."""

    instruction: str = ""
    """What to do, in words; empty: the environment's name."""


class GymnasiumRobot:
    """A Gymnasium environment as a robot.

    Observation spaces become state fields and, for 8-bit RGB images, cameras; see :mod:`robot_stack.sim.gym_spaces`.
    Commands beyond the limits of a Box are clipped and reported as interventions; of a Discrete action one number per
    choice is commanded, the largest is chosen and sent as a one-hot vector, which is not an intervention.
    """

    def __init__(self, config: GymnasiumConfig) -> None:
        from robot_stack.sim.gym_spaces import leaves_of

        self.config = config
        self.env = _make(config)
        """The environment, with Gymnasium's wrappers."""
        seen = leaves_of(self.env.observation_space)
        self._numbers = tuple(leaf for leaf in seen if not leaf.is_image)
        self._images = tuple(leaf for leaf in seen if leaf.is_image)
        self._actions = leaves_of(self.env.action_space)
        self._cuts = np.cumsum([leaf.size for leaf in self._actions])[:-1]
        self.reward, self.terminated, self.truncated = 0.0, False, False
        """What the last command brought."""
        self.info: Mapping[str, Any] = {}
        """The environment's own words on the last command."""
        self._renderer: Any = None
        self._raw: Any = self.env.reset(seed=0)[0]
        self._embodiment = self._describe()
        self._low, self._high = self._embodiment.action_limits
        self._steps = 0

    @property
    def embodiment(self) -> Embodiment:
        """What it senses and does."""
        return self._embodiment

    @property
    def horizon(self) -> int:
        """Longest episode [steps]."""
        limit = self.env.spec.max_episode_steps if self.env.spec else None
        return self.config.horizon or limit or 1000

    def reset(self, seed: int | None = None) -> Observation:
        """Start an episode with ``env.reset(seed=seed)``."""
        self._raw, self.info = self.env.reset(seed=seed)
        self.reward, self.terminated, self.truncated, self._steps = 0.0, False, False, 0
        return self.observe()

    def observe(self) -> Observation:
        """State and images after the last command; ``sequence`` counts commands since the reset."""
        parts = [leaf.encode(leaf.get(self._raw)) for leaf in self._numbers]
        images = {leaf.name or "observation": np.asarray(leaf.get(self._raw)) for leaf in self._images}
        if self.config.camera:
            images[CAMERA] = self.render(CAMERA)
        state = np.concatenate(parts) if parts else np.empty(0)
        return Observation(state, images, self._steps / self._embodiment.control_hz, self._steps)

    def command(self, action: np.ndarray) -> Receipt:
        """Advance by one step.

        Args:
            action: the fields of :attr:`embodiment` in a row, shape ``(action_size,)``.

        Raises:
            ShapeError: if the action has another shape.
            NonFiniteError: if it holds NaN or infinity.
            ConfigError: if the episode is over.
        """
        from robot_stack.sim.gym_spaces import assemble

        asked = self._embodiment.check_action(action)
        if not np.isfinite(asked).all():
            raise NonFiniteError("an action is not finite", where="GymnasiumRobot.command", got=asked.tolist())
        if self.terminated or self.truncated:
            raise ConfigError("the episode is over; reset first", where=self.config.env_id)
        clipped = np.minimum(np.maximum(asked, self._low), self._high)
        changed = np.flatnonzero(clipped != asked)
        parts = dict(zip(self._actions, np.split(clipped, self._cuts), strict=True))
        values = {leaf.path: leaf.decode(numbers) for leaf, numbers in parts.items()}
        value = assemble(self.env.action_space, values)
        self._raw, reward, terminated, truncated, self.info = self.env.step(value)
        self.reward, self.terminated, self.truncated = float(reward), bool(terminated), bool(truncated)
        self._steps += 1
        sent = np.concatenate([leaf.encode(values[leaf.path]) for leaf in self._actions])
        names = self._embodiment.action_names
        interventions = tuple(Intervention("limit", f"{names[i]} {asked[i]:.4g} → {clipped[i]:g}") for i in changed)
        return Receipt(sent, interventions, self._steps / self._embodiment.control_hz)

    def render(self, camera: str = CAMERA) -> np.ndarray:
        """What the environment renders now: RGB, uint8 of shape ``(height, width, 3)``.

        MuJoCo models are rendered by :mod:`robot_stack.sim.render`, which needs no display.

        Raises:
            ConfigError: if the environment renders no RGB array.
            RenderError: if no image can be made here.
            MissingExtraError: if the environment draws with a package that is not installed.
        """
        inner = self.env.unwrapped
        if type(getattr(inner, "model", None)).__name__ == "MjModel":
            return self._render_mujoco(inner)
        from gymnasium.error import DependencyNotInstalled

        try:
            image: Any = self.env.render()
        except DependencyNotInstalled as error:
            raise MissingExtraError(f"an image of {self.config.env_id}", extra="sim", package=str(error)) from error
        if not isinstance(image, np.ndarray):
            raise ConfigError(
                "the environment renders no rgb_array", where=self.config.env_id, got=type(image).__name__
            )
        return np.ascontiguousarray(image[..., :3], dtype=np.uint8)

    def _render_mujoco(self, inner: Any) -> np.ndarray:
        from robot_stack.sim.render import OffscreenRenderer

        if self._renderer is None:
            self._renderer = OffscreenRenderer(inner.model, inner.height, inner.width)
        names = [inner.model.camera(i).name for i in range(inner.model.ncam)]
        wanted = inner.camera_name or "track"
        number = inner.camera_id if inner.camera_id is not None else (names.index(wanted) if wanted in names else -1)
        return self._renderer.render(inner.data, number, inner.height, inner.width)

    @property
    def steps(self) -> int:
        """Commands since the reset."""
        return self._steps

    def stop(self, reason: str) -> None:
        """Nothing moves between commands."""

    def close(self) -> None:
        """Close the environment; idempotent."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self.env.close()

    def _describe(self) -> Embodiment:
        cameras = [CameraSpec(leaf.name or "observation", *leaf.space.shape[:2]) for leaf in self._images]  # type: ignore[index,misc]
        if self.config.camera:
            cameras.append(CameraSpec(CAMERA, *self.render().shape[:2]))
        action = tuple(leaf.field("action") for leaf in self._actions)
        low = tuple(v for f in action for v in f.low)
        high = tuple(v for f in action for v in f.high)
        return Embodiment(
            name=f"gym/{self.config.env_id}",
            state=tuple(leaf.field("observation") for leaf in self._numbers),
            action=action,
            cameras=tuple(cameras),
            control_hz=self._rate(),
            limits=SafetyLimits(low=low, high=high),
        )

    def _rate(self) -> float:
        if self.config.control_hz is not None:
            return self.config.control_hz
        dt = getattr(self.env.unwrapped, "dt", None)
        if isinstance(dt, (int, float)) and dt > 0:
            return 1.0 / float(dt)
        fps = self.env.metadata.get("render_fps")
        if fps:
            return float(fps)
        raise ConfigError(
            "the environment does not say how fast it runs",
            where=self.config.env_id,
            remedy="set GymnasiumConfig.control_hz",
        )


class GymnasiumTask:
    """The environment's own reward and ending.

    Success is ``info["is_success"]`` or ``info["success"]``; where the environment says neither, a return of at least
    the registered ``reward_threshold``; where there is none, nothing counts as success.
    """

    milestones: tuple[str, ...] = ()

    def __init__(self, robot: GymnasiumRobot) -> None:
        self._robot = robot
        self._total = 0.0

    @property
    def name(self) -> str:
        """For example ``"gym/CartPole-v1"``."""
        return f"gym/{self._robot.config.env_id}"

    @property
    def instruction(self) -> str:
        """What to do, in words."""
        return self._robot.config.instruction or self._robot.config.env_id

    @property
    def horizon(self) -> int:
        """Longest episode [steps]."""
        return self._robot.horizon

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Start the episode that belongs to ``seed``.

        Raises:
            ConfigError: if ``robot`` is not the one this task was made with.
        """
        if robot is not self._robot:
            raise ConfigError("a Gymnasium task can only reset the robot it was made with", got=type(robot).__name__)
        self._total = 0.0
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """The environment's words on the last command; running into the horizon is not a termination."""
        robot = self._robot
        self._total += robot.reward
        ended = robot.terminated or (robot.truncated and robot.steps < self.horizon)
        return Score(robot.reward, self._success(), (), ended)

    def _success(self) -> bool:
        info = self._robot.info
        for key in ("is_success", "success"):
            if key in info:
                return bool(info[key])
        spec = self._robot.env.spec
        threshold = spec.reward_threshold if spec else None
        return threshold is not None and math.isfinite(threshold) and self._total >= threshold


def make_gymnasium(config: GymnasiumConfig = GymnasiumConfig()) -> World:
    """One Gymnasium environment; with ``config`` bound by ``functools.partial`` it is a ``WorldMaker``.

    Raises:
        UnknownNameError: if no such environment is registered.
        ConfigError: if a space has no fixed size.
        MissingExtraError: if Gymnasium, or something the environment needs, is not installed.
    """
    robot = GymnasiumRobot(config)
    return World(robot, GymnasiumTask(robot))


def _make(config: GymnasiumConfig) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtraError("Gymnasium", extra="sim", package="gymnasium") from error
    limits = {} if config.horizon is None else {"max_episode_steps": config.horizon}
    mode = {"render_mode": "rgb_array"} if config.camera else {}
    try:
        return gymnasium.make(config.env_id, disable_env_checker=True, **limits, **mode, **dict(config.options))
    except (gymnasium.error.NameNotFound, gymnasium.error.VersionNotFound, gymnasium.error.NamespaceNotFound) as error:
        raise UnknownNameError("Gymnasium environment", config.env_id, sorted(gymnasium.registry)) from error
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingExtraError(f"the environment {config.env_id}", extra="sim", package=str(error)) from error
