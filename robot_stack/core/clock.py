"""Clocks that only go forward."""

from __future__ import annotations

import time
from typing import Protocol

from robot_stack.core.errors import ConfigError


class Clock(Protocol):
    """Time of one episode loop."""

    def now(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def sleep_until(self, time_s: float) -> None:
        """Return at ``time_s``, or at once when it has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds on the machine's monotonic clock."""
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        """Sleep until ``time_s`` on the machine's monotonic clock."""
        remaining = time_s - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)


class SimulatedClock:
    """Time that passes only when somebody sleeps: simulation as fast as it goes."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now = start_s

    def now(self) -> float:
        """Simulated seconds."""
        return self._now

    def sleep_until(self, time_s: float) -> None:
        """Jump to ``time_s`` unless it has passed."""
        self._now = max(self._now, time_s)


class ScaledClock:
    """The machine's monotonic clock, slowed down or sped up: for simulated robots that are watched at another speed.

    Args:
        speed: seconds of this clock for each real one; all processes that share it run at the same pace, and, as it
            begins with the machine's clock, tell the same time.

    Raises:
        ConfigError: if ``speed`` is not positive.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0.0:
            raise ConfigError("a clock needs a positive speed", got=speed)
        self.speed = speed

    def now(self) -> float:
        """Seconds of this clock."""
        return time.monotonic() * self.speed

    def sleep_until(self, time_s: float) -> None:
        """Sleep until ``time_s`` on this clock."""
        remaining = time_s / self.speed - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
