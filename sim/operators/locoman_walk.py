"""Scripted operator of ``locoman/walk``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.core.world import World

GAINS = np.array([1.2, 1.2, 1.5])
"""Velocity for each unit of error: forward, left, turning [1/s]."""

FASTEST = np.array([0.4, 0.2, 0.6])
"""Largest velocities [m/s, m/s, rad/s]."""

FAR_M = 0.3
"""From this distance on it looks where it goes; nearer, more and more along the arrow."""

NOISE_MEMORY = 0.95
"""How much of the noise stays from one control step to the next."""


class Walk:
    """Looks towards the mark while it is far, and along its arrow when it is near.

    Args:
        world: the robot and its task.
        noise_std: standard deviation of the wavering of forward and sideways velocity [m/s]; twice it in turning.
    """

    history = 1

    def __init__(self, world: World, noise_std: float = 0.0) -> None:
        body = world.robot.embodiment
        self._from_base, self._turn = (body.state_slices[name] for name in ("mark_from_base", "mark_turn"))
        self._period_s, self._noise_std = 1.0 / body.control_hz, noise_std
        self._grippers = body.action_size - 3
        self.reset("", 0)

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode."""
        self._rng = generator(seed, 0x0C)
        self._noise = np.zeros(3)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """One action: velocities towards the mark, grippers closed."""
        state = history[-1].state
        (ahead, left), (cos, sin) = state[self._from_base], state[self._turn]
        away, turn = float(np.hypot(ahead, left)), float(np.arctan2(sin, cos))
        share = min(away / FAR_M, 1.0) ** 2
        bearing = float(np.arctan2(left, ahead)) if away > 0.05 else 0.0
        wanted = GAINS * (ahead, left, share * bearing + (1.0 - share) * turn)
        fresh = np.sqrt(1.0 - NOISE_MEMORY**2) * self._rng.standard_normal(3) * (1.0, 1.0, 2.0)
        self._noise = NOISE_MEMORY * self._noise + self._noise_std * fresh
        velocity = np.clip(wanted + self._noise, -FASTEST, FASTEST)
        action = np.concatenate([velocity, np.zeros(self._grippers)])
        return ActionChunk(action[None], history[-1].time_s, self._period_s)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`Walk` [m/s]."""
    return Walk(world, noise_std)
