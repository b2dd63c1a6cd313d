"""How an operator's hands waver: noise that is as smooth as a hand's motion is.

Operators that answer with joint positions lead what a position loop lags behind: they add its velocity times some
tenths of a second. Noise that is correlated but rough (first order) has steps in every control period that this turns
into swings of joints at full speed: centimetres of chatter from 3 mm of wavering, in actions that no policy can
foresee. So the noise is filtered twice, and what is led is small beside what wavers.
"""

from __future__ import annotations

import numpy as np

from robot_stack.core.seeding import generator

MEMORY = 0.95
"""How much of each filter's state stays from one control step to the next; 0.4 s at 50 Hz."""

_STREAM = 0x0B
_GAIN = float(np.sqrt((1 - MEMORY**2) ** 3 / (1 + MEMORY**2)))
"""Brings two such filters in a row back to the standard deviation of what goes in."""


class Wavering:
    """Smooth noise: white noise through two equal low-pass filters.

    Args:
        std: standard deviation of each number [m].
        shape: of the noise.
        seed: of the episode.
    """

    def __init__(self, std: float, shape: tuple[int, ...], seed: int) -> None:
        self._std, self._rng = std, generator(seed, _STREAM)
        self._inner = np.zeros(shape)
        self.value = np.zeros(shape)
        """The noise now [m]."""

    def step(self, calm: float = 1.0) -> np.ndarray:
        """The noise one control step later; it starts at nothing and takes about a second to its full size.

        Args:
            calm: share of the standard deviation that it tends to, below 1 in fine movements.
        """
        fresh = self._rng.normal(0.0, self._std, self._inner.shape)
        self._inner = MEMORY * self._inner + calm * _GAIN * fresh
        self.value = MEMORY * self.value + self._inner
        return self.value
