"""How ALOHA's hands are held: orientations of their frame, x out of the hand and y along the fingers' way."""

from __future__ import annotations

import numpy as np

READY_RAD = np.tile((0.0, -0.6, 0.9, 0.0, 0.6, 0.0), 2)
"""A posture with the hands bent downwards, from which they work without turning over: at home they bend upwards, and
between the two the wrist is singular. Shape ``(12,)``."""


def pitched(heading: float, pitch: float) -> np.ndarray:
    """A hand that points into a direction over the table and downwards; ``(3, 3)``.

    Args:
        heading: of the fingers about the vertical, from the world's x axis [rad].
        pitch: how far they point down [rad].
    """
    c, s, cp, sp = np.cos(heading), np.sin(heading), np.cos(pitch), np.sin(pitch)
    return np.array([[c * cp, -s, c * sp], [s * cp, c, s * sp], [-sp, 0.0, cp]])


def lengthwise(heading: float) -> float:
    """The heading of a thing that looks the same from behind, by the turn nearest to none, in [-π/2, π/2] [rad]."""
    return float((heading + np.pi / 2) % np.pi - np.pi / 2)
