"""How the Panda's hand is held: orientations of its tool frame, z out of the hand and y along the fingers' way."""

from __future__ import annotations

import numpy as np


def pointing_down(yaw: float) -> np.ndarray:
    """Fingers down, the wrist camera's side (x) turned by ``yaw`` from the world's x axis [rad]; ``(3, 3)``."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])


def within_quarter(yaw: float) -> float:
    """The same side of a square thing, by the turn nearest to none, in [-π/4, π/4] [rad]."""
    return float((yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4)
