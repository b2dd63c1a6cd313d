"""Clocks that only go forward."""

from __future__ import annotations

import time
from typing import Protocol


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
