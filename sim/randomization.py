"""What differs from episode to episode in the robot itself, drawn from the episode's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import generator
from robot_stack.sim.robots.model import RobotModel

Range = tuple[float, float]
"""Smallest and largest value; drawn evenly between them."""

STREAM = 0xD0
"""The path below an episode's seed that these draws come from, apart from the task's own."""


@dataclass(frozen=True)
class Randomization:
    """Domain randomisation; the defaults change nothing.

    Every episode draws all of its numbers in the same order from its seed, so that switching one kind on leaves the
    others as they were.
    """

    mass_scale: Range = (1.0, 1.0)
    """Factor on the mass and inertia of every body, drawn for each by itself."""

    payload_kg: Range = (0.0, 0.0)
    """Added to the base's mass, its inertia growing in proportion [kg]."""

    friction_scale: Range = (1.0, 1.0)
    """One factor on the friction of every geom (sliding, torsional, rolling)."""

    stiffness_scale: Range = (1.0, 1.0)
    """Factor on the gain kp of every driven joint, drawn for each by itself."""

    damping_scale: Range = (1.0, 1.0)
    """Factor on the damping kd of every driven joint, likewise."""

    latency_steps: tuple[int, int] = (0, 0)
    """By how many control steps actions come late in an episode; both ends included."""

    state_noise: tuple[tuple[str, float], ...] = ()
    """State fields and the standard deviation of what is added to each of their numbers, in the field's unit."""

    push_every_s: Range = (0.0, 0.0)
    """Time from one push on a floating base to the next [s]; ``(0, 0)`` for no pushes."""

    push_speed: float = 0.0
    """Largest change of the base's velocity by a push, along world x and along world y [m/s]."""

    push_turn: float = 0.0
    """Largest change of the base's angular velocity by a push, about each of its axes [rad/s]."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "state_noise" and isinstance(value, tuple) and not value[0] <= value[1]:
                raise ConfigError(f"the range {f.name!r} is upside down", got=value)
        for name in ("mass_scale", "friction_scale", "stiffness_scale", "damping_scale"):
            low = getattr(self, name)[0]
            if not low > 0.0 and not (name == "damping_scale" and low == 0.0):
                raise ConfigError(f"{name!r} must be positive", got=getattr(self, name))
        pushes = (self.push_speed, self.push_turn, self.push_every_s[0], self.latency_steps[0])
        if min(pushes) < 0 or any(std < 0 for _, std in self.state_noise):
            raise ConfigError("a randomisation is negative", got=self)
        if self.push_every_s[1] > 0 and not self.push_every_s[0] > 0:
            raise ConfigError("the time between pushes must be positive", got=self.push_every_s)

    @property
    def pushes(self) -> bool:
        """Whether there are any."""
        return self.push_every_s[1] > 0


@dataclass(frozen=True, eq=False)
class EpisodeDraw:
    """What one episode drew."""

    factors: Mapping[str, np.ndarray]
    """Model fields and what they are multiplied by (broadcasts to the field); only those that change."""

    stiffness: np.ndarray
    """Factor on kp of every driven joint, shape ``(driven,)``."""

    damping: np.ndarray
    """Factor on kd, likewise."""

    latency: int
    """How late actions come [control steps]."""


def draw_episode(randomization: Randomization, robot: RobotModel, seed: int) -> EpisodeDraw:
    """What the episode of a seed draws.

    Args:
        randomization: the ranges.
        robot: the scene.
        seed: of the episode.

    Raises:
        ConfigError: if the payload would leave the base without mass.
    """
    rng = generator(seed, STREAM)
    model, driven = robot.model, len(robot.spec.driven)
    mass = rng.uniform(*randomization.mass_scale, model.nbody)
    payload = rng.uniform(*randomization.payload_kg)
    friction = rng.uniform(*randomization.friction_scale)
    stiffness = rng.uniform(*randomization.stiffness_scale, driven)
    damping = rng.uniform(*randomization.damping_scale, driven)
    latency = int(rng.integers(randomization.latency_steps[0], randomization.latency_steps[1] + 1))
    base = float(model.body_mass[robot.root])
    if payload:
        if not base + payload > 0.0:
            raise ConfigError("a payload leaves the base without mass", got=payload, where=f"mass {base:g} kg")
        mass[robot.root] *= (base + payload) / base
    factors: dict[str, np.ndarray] = {}
    if not (mass == 1.0).all():
        factors["body_mass"], factors["body_inertia"] = mass, mass[:, None]
    if friction != 1.0:
        factors["geom_friction"] = np.array(friction)
    return EpisodeDraw(factors, stiffness, damping, latency)
