"""Meta-World's 50 tasks behind the Robot and Task contracts.

State and action are Meta-World's own numbers, named. The start of an episode depends on its seed only.
Meta-World: Yu et al., CoRL 2019, https://arxiv.org/abs/1910.10897; Farama-Foundation/Metaworld.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.action import Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, NonFiniteError, require_name
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.task import Score
from robot_stack.core.world import World
from robot_stack.sim.metaworld_milestones import MILESTONES, MilestoneMeter
from robot_stack.sim.metaworld_sim import MetaWorldSim, robot_hash
from robot_stack.sim.metaworld_tasks import task_info
from robot_stack.sim.render import OffscreenRenderer, Quality

CAMERAS: dict[str, str] = {
    "corner": "",
    "corner2": "",
    "corner3": "",
    "topview": "",
    "behindGripper": "hand",
    "gripperPOV": "hand",
}
"""Every camera and the body it is mounted on; empty: fixed in the world."""

UPSIDE_DOWN = ("corner", "corner2", "corner3")
"""Cameras that hang upside down in Meta-World's models; their images are turned by half a turn."""

CONTROL_HZ = 80.0
"""Five simulation steps of 2.5 ms a control step."""

XYZ = ("x", "y", "z")
_OBJECTS = tuple(
    Field(f"object_{i}_{what}", size, unit, tuple(f"object_{i}_{n}" for n in names))
    for i in (1, 2)
    for what, size, unit, names in (("position", 3, "m", XYZ), ("quaternion", 4, "1", ("q0", "q1", "q2", "q3")))
)
_NOW = (Field("hand_position", 3, "m", tuple(f"hand_{n}" for n in XYZ)), Field("gripper_opening", 1, "1"), *_OBJECTS)
STATE: tuple[Field, ...] = (
    *_NOW,
    *(Field(f"previous_{f.name}", f.size, f.unit, tuple(f"previous_{n}" for n in f.element_names)) for f in _NOW),
    Field("goal_position", 3, "m", tuple(f"goal_{n}" for n in XYZ)),
)
"""Meta-World's 39 numbers: hand, gripper (1: fingers 0.1 m apart), up to two objects; the same a step ago; goal.

Absent objects are zeros. Quaternions are as Meta-World gives them: wxyz in tasks that read MuJoCo's, xyzw in tasks that
convert a rotation matrix; within one task the order never changes.
"""

ACTION: tuple[Field, ...] = (
    Field("hand_displacement", 3, "cm", ("dx", "dy", "dz"), (-1.0,) * 3, (1.0,) * 3),
    Field("gripper_effort", 1, "1", (), (-1.0,), (1.0,)),
)
"""1 of ``hand_displacement`` moves the hand's target by 1/100 m in one control step; effort 1 closes, -1 opens."""


@dataclass(frozen=True)
class MetaWorldConfig:
    """Which Meta-World task, seen how."""

    task: str = "pick-place"
    """With or without the version: ``"pick-place"`` or ``"pick-place-v3"``."""

    cameras: tuple[str, ...] = ()
    """Names of :data:`CAMERAS`; empty for state only."""

    image_height: int = 96
    """Rows of every camera's image [pixel]."""

    image_width: int = 96
    """Columns of every camera's image [pixel]."""

    quality: Quality = "fast"
    """Of the images, see :data:`robot_stack.sim.render.Quality`."""

    horizon: int = 500
    """Longest episode [control steps of 1/80 s]."""


class MetaWorldRobot:
    """The Sawyer arm of Meta-World with the objects of one task.

    Commands outside [-1, 1] are clipped and reported as interventions. Commands are rounded to float32, the precision
    in which datasets keep them, so that a replayed episode is the recorded one bit for bit.
    """

    def __init__(self, config: MetaWorldConfig) -> None:
        for name in config.cameras:
            require_name("Meta-World camera", name, CAMERAS, where="MetaWorldConfig.cameras")
        self.config = config
        self.sim = MetaWorldSim(task_info(config.task).name)
        """The simulator; its truth scores the task."""
        height, width = config.image_height, config.image_width
        self._embodiment = Embodiment(
            name="metaworld/sawyer",
            state=STATE,
            action=ACTION,
            cameras=tuple(CameraSpec(c, height, width, CAMERAS[c]) for c in config.cameras),
            control_hz=CONTROL_HZ,
            limits=SafetyLimits(low=(-1.0,) * 4, high=(1.0,) * 4),
            model_sha256=robot_hash(),
        )
        self._renderer: OffscreenRenderer | None = None
        self._steps = 0
        self._state = self.sim.state

    @property
    def embodiment(self) -> Embodiment:
        """What it senses and does; the same for all 50 tasks."""
        return self._embodiment

    def reset(self, seed: int | None = None) -> Observation:
        """Go to the start that belongs to ``seed``; ``None`` draws an unpredictable one."""
        self._state = self.sim.reset(int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed)
        self._steps = 0
        return self.observe()

    def observe(self) -> Observation:
        """State and images after the last command; ``sequence`` counts commands since the reset."""
        images = {camera: self.render(camera) for camera in self.config.cameras}
        return Observation(self._state, images, self._steps / CONTROL_HZ, self._steps)

    def command(self, action: np.ndarray) -> Receipt:
        """Advance by one control step.

        Args:
            action: hand displacement and gripper effort, shape ``(4,)``.

        Raises:
            ShapeError: if the action has another shape.
            NonFiniteError: if it holds NaN or infinity.
        """
        asked = self._embodiment.check_action(action)
        sent, interventions = asked, ()
        if not (np.abs(asked) <= 1.0).all():
            sent, interventions = self._clip(asked)
        sent = sent.astype(np.float32).astype(np.float64)
        self._state = self.sim.step(sent)
        self._steps += 1
        return Receipt(sent, interventions, self._steps / CONTROL_HZ)

    def render(self, camera: str, height: int | None = None, width: int | None = None) -> np.ndarray:
        """What a camera sees now.

        Args:
            camera: a name of :data:`CAMERAS`.
            height: [pixel]; ``None`` for the configured one, at most the larger of that and 480.
            width: [pixel]; likewise, at most the larger of that and 640.

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``, upright.

        Raises:
            RenderError: if no image can be made here.
        """
        require_name("Meta-World camera", camera, CAMERAS)
        config = self.config
        if self._renderer is None:
            largest = (max(480, config.image_height), max(640, config.image_width))
            self._renderer = OffscreenRenderer(self.sim.model, *largest, config.quality)
        number = self.sim.model.camera(camera).id
        rows, columns = height or config.image_height, width or config.image_width
        image = self._renderer.render(self.sim.data, number, rows, columns)
        return np.ascontiguousarray(image[::-1, ::-1]) if camera in UPSIDE_DOWN else image

    def _clip(self, asked: np.ndarray) -> tuple[np.ndarray, tuple[Intervention, ...]]:
        if not np.isfinite(asked).all():
            raise NonFiniteError("an action is not finite", where="MetaWorldRobot.command", got=asked.tolist())
        sent, names = np.clip(asked, -1.0, 1.0), self._embodiment.action_names
        changed = np.flatnonzero(sent != asked)
        return sent, tuple(Intervention("limit", f"{names[i]} {asked[i]:.4g} → {sent[i]:g}") for i in changed)

    def stop(self, reason: str) -> None:
        """Nothing moves between commands."""

    def close(self) -> None:
        """Free the renderer; idempotent."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class MetaWorldTask:
    """One of the 50 tasks, scored from the simulator's truth."""

    def __init__(self, robot: MetaWorldRobot) -> None:
        self._robot = robot
        self._info = task_info(robot.config.task)
        self._meter = MilestoneMeter(self._info.group, robot.sim)

    @property
    def name(self) -> str:
        """For example ``"metaworld/pick-place"``."""
        return f"metaworld/{self._info.name}"

    @property
    def instruction(self) -> str:
        """What to do, in words."""
        return self._info.instruction

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        return self._robot.config.horizon

    @property
    def milestones(self) -> tuple[str, ...]:
        """Partial goals, see :mod:`robot_stack.sim.metaworld_milestones`."""
        return MILESTONES[self._info.group]

    def reset(self, robot: Robot, seed: int) -> Observation:
        """Go to the start that belongs to ``seed``.

        Raises:
            ConfigError: if ``robot`` is not the one this task was made with.
        """
        if robot is not self._robot:
            raise ConfigError("a Meta-World task can only reset the robot it was made with", got=type(robot).__name__)
        observation = robot.reset(seed)
        self._meter.start()
        return observation

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        """Meta-World's reward (0 to 10) and success, and the milestones, for the simulator's present state."""
        reward, info = self._robot.sim.evaluate(receipt.sent)
        success = bool(info["success"])
        return Score(reward, success, self._meter.read(success))


def make_metaworld(config: MetaWorldConfig = MetaWorldConfig()) -> World:
    """One Meta-World task; with ``config`` bound by ``functools.partial`` it is a ``WorldMaker``.

    Raises:
        UnknownNameError: if the task or a camera does not exist.
        MissingExtraError: if metaworld is not installed.
    """
    robot = MetaWorldRobot(config)
    return World(robot, MetaWorldTask(robot))
