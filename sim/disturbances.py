"""What happens to a robot in an episode besides its actions: delay, noise and pushes; for one simulation or many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.fields import Field, slices_of
from robot_stack.sim.counted_random import bell, uniform
from robot_stack.sim.randomization import Randomization

_NOISE, _WHEN, _KICK = 1, 2, 3
"""Which stream of an episode's numbers."""


class Disturbances:
    """Delays actions, adds noise to states and pushes floating bases, one row a simulation.

    Everything is a function of the episode's seed and the control step, whoever else is simulated beside it.

    Args:
        randomization: how much of it.
        state: the fields of the state vector.
        action_size: numbers of an action.
        control_hz: rate of actions [Hz].
        floating: whether the base is free.
        nsim: how many simulations.

    Raises:
        ConfigError: if a fixed base is to be pushed.
        UnknownNameError: if there is noise on a field that does not exist.
    """

    def __init__(
        self,
        randomization: Randomization,
        *,
        state: Sequence[Field],
        action_size: int,
        control_hz: float,
        floating: bool,
        nsim: int = 1,
    ) -> None:
        if randomization.pushes and not floating:
            raise ConfigError("a fixed base cannot be pushed", got=randomization, remedy="set push_every_s to (0, 0)")
        self._randomization, self._hz = randomization, control_hz
        self._noise_std, self._noisy = _noise_of(randomization, state)
        self._slots = randomization.latency_steps[1] + 1
        self._sent = np.zeros((self._slots if self._slots > 1 else 0, nsim, action_size))
        self._late = np.zeros(nsim, dtype=np.int64)
        self._key = np.zeros(nsim, dtype=np.uint64)
        self._push_at = np.full(nsim, -1, dtype=np.int64)
        self._pushes = np.zeros(nsim, dtype=np.int64)
        self._steps = np.zeros(nsim, dtype=np.int64)
        self._all = np.arange(nsim)

    @property
    def delays(self) -> bool:
        """Whether actions can come late."""
        return self._slots > 1

    def restart(self, rows: np.ndarray, seeds: np.ndarray, latency: np.ndarray, hold: np.ndarray) -> None:
        """Episodes begin.

        Args:
            rows: of these simulations, shape ``(n,)``.
            seeds: of the episodes, shape ``(n,)``.
            latency: how late actions come, shape ``(n,)`` [control steps].
            hold: the action in force until the first one arrives, shape ``(n, action_size)``.
        """
        self._key[rows], self._late[rows], self._steps[rows], self._pushes[rows] = seeds, latency, 0, 0
        if self.delays:
            self._sent[:, rows] = hold
        if self._randomization.pushes:
            self._push_at[rows] = self._pause(rows)

    def arriving(self, action: np.ndarray) -> np.ndarray:
        """Hand over the actions of this control step, and get those that arrive in it.

        Args:
            action: shape ``(nsim, action_size)``.

        Returns:
            Likewise; not to be written to.
        """
        if not self.delays:
            return action
        self._sent[self._steps % self._slots, self._all] = action
        return self._sent[(self._steps - self._late) % self._slots, self._all]

    def kicks(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Which bases are pushed before this control step, and by how much.

        Returns:
            Rows, shape ``(n,)``, and what is added to their base's velocity (3 numbers in world axes [m/s]) and angular
            velocity (3 numbers in the base's axes [rad/s]), shape ``(n, 6)``; ``None`` when nobody is pushed.
        """
        rows = np.flatnonzero(self._push_at == self._steps)
        if not self._randomization.pushes or not rows.size:
            return None
        way = 2.0 * uniform(self._key[rows, None], _KICK, self._pushes[rows, None], np.arange(6)) - 1.0
        speed, turn = self._randomization.push_speed, self._randomization.push_turn
        self._pushes[rows] += 1
        self._push_at[rows] += self._pause(rows)
        return rows, way * np.array([speed, speed, 0.0, turn, turn, turn])

    def advance(self, rows: np.ndarray | slice = slice(None)) -> None:
        """A control step is over for these simulations."""
        self._steps[rows] += 1

    def noisy(self, state: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The states as they are sensed; they are written into.

        Args:
            state: as it truly is, shape ``(n, state_size)``.
            rows: of these simulations.
        """
        if self._noisy.size:
            drawn = bell(self._key[rows, None], _NOISE, self._steps[rows, None], self._noisy)
            state[:, self._noisy] += drawn * self._noise_std
        return state

    def _pause(self, rows: np.ndarray) -> np.ndarray:
        """Control steps until the next push, at least one."""
        low, high = self._randomization.push_every_s
        seconds = low + (high - low) * uniform(self._key[rows], _WHEN, self._pushes[rows])
        return np.maximum(1, np.rint(seconds * self._hz)).astype(np.int64)


def _noise_of(randomization: Randomization, state: Sequence[Field]) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation and index of every number with noise."""
    slices = slices_of(tuple(state))
    std = np.zeros(sum(field.size for field in state))
    for name, amount in randomization.state_noise:
        std[slices[require_name("state field", name, slices, where="Randomization.state_noise")]] = amount
    noisy = np.flatnonzero(std)
    return std[noisy], noisy
