"""A small real robot and task for tests: a point mass that is pushed to a goal, with a camera if wanted.

It keeps every promise of the contracts (seeded starts, clipped commands with interventions, milestones, images), runs
tens of thousands of steps a second, and has an expert, a noisy batched driver and a few ways to go wrong on purpose.
Import as ``from tests.worlds import make_point_world``; the makers can be pickled.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.action import ActionChunk, Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.seeding import generator
from robot_stack.core.task import Score
from robot_stack.core.world import World

DT = 0.05
ARENA = 1.0


@dataclass(frozen=True)
class PointConfig:
    """What kind of point world."""

    camera: int = 0
    """Height and width of the image of camera ``"top"`` [pixel]; 0: no camera."""

    horizon: int = 60
    """Of the task [control steps]."""

    near: float = 0.05
    """Closer to the goal than this is success [m]."""

    bad_seeds: tuple[int, ...] = ()
    """Episodes of these seeds raise at their fifth step."""

    deadly_seeds: tuple[int, ...] = ()
    """Episodes of these seeds kill their process at the third step."""

    render_fails: bool = False
    """``render`` raises."""

    render_kills: bool = False
    """``render`` kills its process, as a broken graphics driver does."""


class PointRobot:
    """A point with velocity; the command is an acceleration, clipped to ±1 in each axis."""

    def __init__(self, config: PointConfig) -> None:
        self.config = config
        size = config.camera
        self._embodiment = Embodiment(
            name="test/point",
            state=(
                Field("position", 2, "m", ("x", "y")),
                Field("velocity", 2, "m/s", ("vx", "vy")),
                Field("goal", 2, "m", ("gx", "gy")),
            ),
            action=(Field("push", 2, "m/s^2", ("ax", "ay"), (-1.0, -1.0), (1.0, 1.0)),),
            cameras=(CameraSpec("top", size, size),) if size else (),
            control_hz=1 / DT,
        )
        self.position, self.velocity, self.goal = np.zeros(2), np.zeros(2), np.zeros(2)
        self.sequence, self.seed, self.commands, self.resets = 0, 0, 0, 0
        self.stopped, self.closed = "", False

    @property
    def embodiment(self) -> Embodiment:
        return self._embodiment

    def reset(self, seed: int | None = None) -> Observation:
        rng = generator(seed or 0, 1)
        self.position, self.velocity = rng.uniform(-ARENA, ARENA, 2), np.zeros(2)
        self.goal = rng.uniform(-ARENA, ARENA, 2)
        self.sequence, self.commands, self.seed = 0, 0, seed or 0
        self.resets += 1
        return self.observe()

    def observe(self) -> Observation:
        images = {"top": self.render("top", self.config.camera, self.config.camera)} if self.config.camera else {}
        state = np.concatenate([self.position, self.velocity, self.goal])
        self.sequence += 1
        return Observation(state, images, self.sequence * DT, self.sequence)

    def command(self, action: np.ndarray) -> Receipt:
        asked = self._embodiment.check_action(action)
        sent = np.clip(asked, -1.0, 1.0)
        self.commands += 1
        if self.seed in self.config.bad_seeds and self.commands == 5:
            raise ValueError("the point fell off the table")
        if self.seed in self.config.deadly_seeds and self.commands == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        self.velocity = 0.98 * self.velocity + sent * DT * 4
        self.position = self.position + self.velocity * DT
        clipped = () if np.array_equal(asked, sent) else (Intervention("limit", "push"),)
        return Receipt(sent, clipped, self.sequence * DT)

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        """Seen from above: the goal green, the point red, uint8 of shape ``(height, width, 3)``."""
        if self.config.render_fails:
            raise RuntimeError("no graphics here")
        if self.config.render_kills:
            os.kill(os.getpid(), signal.SIGKILL)
        image = np.full((height, width, 3), 30, np.uint8)
        rows, columns = np.mgrid[0:height, 0:width]
        x, y = 2 * ARENA * (columns + 0.5) / width - ARENA, ARENA - 2 * ARENA * (rows + 0.5) / height
        for centre, colour in ((self.goal, (40, 200, 40)), (self.position, (220, 40, 40))):
            image[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 0.15**2] = colour
        return image

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def close(self) -> None:
        self.closed = True


class ReachTask:
    """Bring the point to the goal."""

    name = "point-reach"
    instruction = "push the point to the goal"
    milestones = ("halfway", "at_goal")

    def __init__(self, config: PointConfig) -> None:
        self.config = config
        self.horizon = config.horizon
        self.start_distance = 0.0

    def reset(self, robot: Robot, seed: int) -> Observation:
        observation = robot.reset(seed)
        self.start_distance = _distance(observation)
        return observation

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        distance = _distance(observation)
        near = distance < self.config.near
        return Score(-distance, near, (distance < 0.5 * self.start_distance, near))


def _distance(observation: Observation) -> float:
    return float(np.linalg.norm(observation.state[0:2] - observation.state[4:6]))


def make_point_world(config: PointConfig = PointConfig()) -> World:
    """A ``WorldMaker`` once ``config`` is bound with ``functools.partial``."""
    return World(PointRobot(config), ReachTask(config))


class PointExpert:
    """A PD controller, with action noise from the episode's seed; chunks of one action."""

    history = 1

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.rng = generator(0)

    def reset(self, instruction: str, seed: int) -> None:
        self.rng = generator(seed, 2)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        return ActionChunk((_pd(history[-1].state) + self.noise * self.rng.normal(size=2))[None])


def make_point_expert(world: World, noise: float = 0.0) -> PointExpert:
    """A ``DriverMaker``."""
    return PointExpert(noise)


@dataclass
class PointBatchDriver:
    """The same controller for many slots at once, answering in chunks, with noise from each episode's seed."""

    noise: float = 0.3
    chunk: int = 4
    history: int = 2
    weak: bool = False
    fail_state_above: float = np.inf
    """Raise when any asking point's x is above this: one bad observation spoils a whole batch."""
    rngs: dict[int, np.random.Generator] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    """Size of each batch answered."""

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        assert instruction == ReachTask.instruction
        self.rngs[slot] = generator(seed, 3)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        assert len(set(slots)) == len(slots) == len(histories)
        assert all(len(h) == self.history for h in histories)
        self.batches.append(len(slots))
        states = np.stack([h[-1].state for h in histories])
        noises = np.stack([self.rngs[s].normal(size=(self.chunk, 2)) for s in slots])
        if (states[:, 0] > self.fail_state_above).any():
            raise ValueError("x is too large for me")
        gain = 0.1 if self.weak else 1.0
        pushes = [gain * _pd(state) + self.noise * noise for state, noise in zip(states, noises, strict=True)]
        return [ActionChunk(push) for push in pushes]


def _pd(state: np.ndarray) -> np.ndarray:
    return 2.0 * (state[4:6] - state[0:2]) - 1.2 * state[2:4]
