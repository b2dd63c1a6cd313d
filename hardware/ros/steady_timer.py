"""Timers that a step of the system's clock neither stalls nor hurries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def steady_timer(node: Any, period_s: float, callback: Callable[[], None]) -> Any:
    """A timer on the machine's monotonic clock.

    ``Node.create_timer`` takes the node's own clock, which is the system's: set back by an hour, every timer of the
    node stands still for an hour.

    Args:
        node: of rclpy.
        period_s: between calls [s].
        callback: called by the node's executor.
    """
    from rclpy.clock import Clock
    from rclpy.clock_type import ClockType

    return node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
