"""Qualities of service of a robot's topics, and the stamps of its messages.

Publishers of what is recorded or obeyed are reliable with a short history: they match reliable and best-effort
subscribers alike, and never wait for a slow one. Whatever counts only while it is fresh is heard best effort, depth 1:
a message that was lost is not worth repeating. What late joiners have to know is kept for them.
"""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy


def latched(depth: int = 1) -> QoSProfile:
    """Reliable, and kept for late joiners: states, embodiments, emergency stops."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def reliable(depth: int) -> QoSProfile:
    """Reliable, the last ``depth``."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def newest(depth: int = 1) -> QoSProfile:
    """Best effort: matches publishers of either kind."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def stamp_ns(header: Any) -> int:
    """The stamp of a message's header [ns]."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def set_stamp(header: Any, time_ns: int) -> None:
    """Stamp a message's header [ns]."""
    header.stamp.sec, header.stamp.nanosec = divmod(int(time_ns), 1_000_000_000)
