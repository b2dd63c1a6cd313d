"""The way of a foot through the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FootMotion:
    """Where a foot shall be at a moment, in world axes."""

    position: np.ndarray
    """Shape ``(3,)`` [m]."""

    velocity: np.ndarray
    """Shape ``(3,)`` [m/s]."""

    acceleration: np.ndarray
    """Shape ``(3,)`` [m/s²]."""


def swing_motion(start: np.ndarray, end: np.ndarray, height_m: float, share: float, duration_s: float) -> FootMotion:
    """A foot's motion from ``start`` over an apex to ``end``; velocity and acceleration are zero at both ends.

    Horizontally a quintic of least jerk; vertically one up to the apex at half time, and one down.

    Args:
        start: where the foot left the floor, shape ``(3,)`` [m].
        end: where it lands, shape ``(3,)`` [m]; may change from tick to tick.
        height_m: of the apex above the higher of the two ends [m].
        share: of the way, 0 … 1.
        duration_s: of the whole swing [s].
    """
    share = min(max(share, 0.0), 1.0)
    place, speed, push = _least_jerk(share)
    way = end - start
    position, velocity, acceleration = start + place * way, speed * way / duration_s, push * way / duration_s**2
    apex = max(start[2], end[2]) + height_m
    low, rise, half = (start[2], apex - start[2], share) if share < 0.5 else (end[2], apex - end[2], 1.0 - share)
    place, speed, push = _least_jerk(2.0 * half)
    sign = 2.0 if share < 0.5 else -2.0
    position[2] = low + place * rise
    velocity[2] = sign * speed * rise / duration_s
    acceleration[2] = 4.0 * push * rise / duration_s**2
    return FootMotion(position, velocity, acceleration)


def _least_jerk(share: float) -> tuple[float, float, float]:
    """Place, speed and acceleration of the quintic from 0 to 1 that starts and ends at rest (Flash and Hogan 1985)."""
    s = share
    return (
        s * s * s * (10.0 - 15.0 * s + 6.0 * s * s),
        30.0 * s * s * (1.0 - s) ** 2,
        60.0 * s * (1.0 - s) * (1.0 - 2.0 * s),
    )
