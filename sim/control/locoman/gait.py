"""When which foot stands and which swings: a trot's schedule.

As LocoMan's gait planner has it (two steps a second, diagonal pairs half a period apart, each foot on the floor for 60%
of it), with two additions: stepping stops where it is not needed, always while all four feet stand, and a foot's share
of the load rises and falls smoothly around its swing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class GaitConfig:
    """A periodic gait of four legs."""

    period_s: float = 0.5
    """From one touch-down of a foot to its next [s]."""

    duty: float = 0.6
    """Share of the period that a foot stands; above 0.5, so that there are moments with all feet on the floor."""

    offsets: tuple[float, float, float, float] = (0.0, 0.5, 0.5, 0.0)
    """Where in its own period each leg is when the gait begins, FR, FL, RR, RL; the diagonals go together."""

    load_s: float = 0.03
    """A foot takes and gives up its load in this time [s]."""

    def __post_init__(self) -> None:
        if not (self.period_s > 0 and 0.5 < self.duty < 1.0 and 0 < self.load_s < 0.5 * self.duty * self.period_s):
            raise ConfigError("a trot needs a positive period and a duty between 0.5 and 1", got=self)

    @property
    def stance_s(self) -> float:
        """How long a foot stands in one period [s]."""
        return self.duty * self.period_s

    @property
    def swing_s(self) -> float:
        """How long it swings [s]."""
        return (1.0 - self.duty) * self.period_s


class Gait:
    """The schedule, tick by tick; standing until :meth:`start`.

    Args:
        config: the gait.
    """

    def __init__(self, config: GaitConfig) -> None:
        self.config = config
        self.stop()

    def start(self) -> None:
        """Step from now on, beginning with a moment on all feet; no change if it already steps."""
        if not self.stepping:
            self.stepping = True
            self._time_s = 0.0
            self._place()

    def stop(self) -> None:
        """Stand on all feet from now on."""
        self.stepping = False
        """Whether the feet step."""
        self._time_s = 0.0
        self._place()

    def advance(self, elapsed_s: float) -> None:
        """Let time pass."""
        if self.stepping:
            self._time_s += elapsed_s
            self._place()

    @property
    def all_stand(self) -> bool:
        """Every foot is scheduled to stand now: the moment to stop at."""
        return bool(self.stands.all())

    def _place(self) -> None:
        config = self.config
        if not self.stepping:
            self.stands = np.ones(4, dtype=bool)
            """Which feet are scheduled to stand, shape ``(4,)``."""
            self.swing = np.zeros(4)
            """How far each swinging foot is on its way, 0 … 1, shape ``(4,)``; 0 for standing feet."""
            self.load = np.ones(4)
            """Share of its full load that each foot may bear, 0 … 1, shape ``(4,)``."""
            return
        period = config.period_s
        for leg, offset in enumerate(config.offsets):
            phase = (self._time_s / period + offset) % 1.0
            stands = phase < config.duty
            # a foot that has not swung yet need not take up its load
            since = config.load_s if self._time_s < (1.0 - offset) * period else phase * period
            until = (config.duty - phase) * period
            self.stands[leg] = stands
            self.swing[leg] = 0.0 if stands else (phase - config.duty) / (1.0 - config.duty)
            self.load[leg] = min(since, until, config.load_s) / config.load_s if stands else 0.0
