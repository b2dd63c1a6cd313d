"""A bound on what the legs give off: a robot that fights something is switched to damping."""

from __future__ import annotations

import numpy as np

FULL_POWER_W = 1200.0
"""Of the twelve motors together at level 10 [W]. Our own figure: Unitree's library has such a bound, but its figures
are not published. LocoMan's whole-body control in simulation stays below a fifth of it."""

TIME_CONSTANT_S = 0.05
"""Over which power counts [s]; impacts of feet are shorter."""


class PowerGuard:
    """Watches mechanical power, and keeps in mind that it was too high.

    Args:
        level: 1 to 10, tenths of :data:`FULL_POWER_W`.
        period_s: between looks [s].
    """

    def __init__(self, level: int, period_s: float) -> None:
        self.limit_w = 0.1 * level * FULL_POWER_W
        """The bound [W]."""
        self.power_w = 0.0
        """Now [W]."""
        self.tripped = ""
        """What was too high, in words, until :meth:`forget`."""
        self._share = period_s / (TIME_CONSTANT_S + period_s)

    def look(self, torque: np.ndarray, velocity: np.ndarray) -> None:
        """One state: torques [N·m] and speeds [rad/s] of the motors."""
        given_w = float(np.abs(torque * velocity).sum())
        self.power_w += self._share * (given_w - self.power_w)
        if self.power_w > self.limit_w and not self.tripped:
            self.tripped = f"the legs gave off {self.power_w:.0f} W, limit {self.limit_w:.0f} W"

    def forget(self) -> None:
        """Begin anew."""
        self.power_w, self.tripped = 0.0, ""
