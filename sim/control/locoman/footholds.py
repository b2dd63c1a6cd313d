"""Where swinging feet land: Raibert's rule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.sim.control.locoman.gait import GaitConfig
from robot_stack.sim.control.locoman.walk import Walk
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.control.whole_body.rotations import yaw_of

HIPS = ((0.1881, -0.12675), (0.1881, 0.12675), (-0.1881, -0.12675), (-0.1881, 0.12675))
"""Where each leg's thigh joint axis meets the leg's plane with the hip at zero, in the trunk's frame, x and y [m]."""


@dataclass(frozen=True)
class FootholdConfig:
    """Constants of the rule."""

    feedback_s: float = 0.05
    """A foot lands this much further per excess of velocity [m per m/s]; Raibert's gain."""

    reach_m: tuple[float, float] = (0.15, 0.08)
    """A foothold is at most so far from under the hip, along and across the heading [m]; LocoMan's."""

    home_m: float = 0.03
    """Feet of a standing robot count as in place within this distance [m]."""

    settle_m: float = 0.002
    """Feet are led so far below the floor, so that they land firmly [m]."""

    def __post_init__(self) -> None:
        if min(*self.reach_m, self.home_m) <= 0 or self.feedback_s < 0:
            raise ConfigError("footholds need a positive reach", got=self)


class Footholds:
    """Landing places of the four feet.

    The middle of the feet is kept under the centre of mass, not under the trunk's origin.

    Args:
        config: constants.
        gait: timing.
    """

    def __init__(self, config: FootholdConfig, gait: GaitConfig) -> None:
        self.config = config
        self._gait = gait
        self._hips = np.array(HIPS)
        self._shift = np.zeros(2)

    def reset(self, dynamics: Dynamics, feet: np.ndarray) -> None:
        """Take over where the centre of mass lies in the trunk.

        Args:
            dynamics: at the robot's state, standing.
            feet: their centres, FR, FL, RR, RL, shape ``(4, 3)`` [m].
        """
        offset = dynamics.com - dynamics.position(dynamics.base)
        self._shift = _turned(yaw_of(dynamics.rotation(dynamics.base)), -1) @ offset[:2]
        self._shift[1] = 0.0

    def are_home(self, feet: np.ndarray, dynamics: Dynamics) -> bool:
        """Whether every foot is near to under its hip.

        Args:
            feet: their centres, shape ``(4, 3)`` [m].
            dynamics: at the robot's state.
        """
        base = dynamics.position(dynamics.base)
        local = (feet[:, :2] - base[:2]) @ _turned(yaw_of(dynamics.rotation(dynamics.base)))
        away = local - self._hips
        return bool((np.hypot(away[:, 0], away[:, 1]) < self.config.home_m).all())

    def goals(self, walk: Walk, dynamics: Dynamics, swing: np.ndarray, floor_m: float) -> np.ndarray:
        """Landing places.

        Args:
            walk: the commanded motion.
            dynamics: at the robot's state.
            swing: how far each foot is on its way, 0 … 1, shape ``(4,)``.
            floor_m: height of standing feet's centres [m].

        Returns:
            In the world, shape ``(4, 3)`` [m].
        """
        config, gait = self.config, self._gait
        base, heading = dynamics.position(dynamics.base), yaw_of(dynamics.rotation(dynamics.base))
        moving = dynamics.velocity[:2]
        half = 0.5 * gait.stance_s
        goals = np.empty((4, 3))
        goals[:, 2] = floor_m - config.settle_m
        for i in range(4):
            left_s = (1.0 - swing[i]) * gait.swing_s
            ahead = heading + walk.yaw_rate * (left_s + half)
            hip = _turned(heading + walk.yaw_rate * left_s) @ (self._hips[i] + self._shift)
            mid = _turned(ahead) @ (self._hips[i] + self._shift)
            reach = moving * half + config.feedback_s * (moving - walk.velocity[:2]) + (mid - hip)
            local = _turned(heading, -1) @ reach
            limit = np.array(config.reach_m)
            reach = _turned(heading) @ np.minimum(np.maximum(local, -limit), limit)
            goals[i, :2] = base[:2] + moving * left_s + hip + reach
        return goals


def _turned(angle: float, sign: int = 1) -> np.ndarray:
    """Rotation in the plane, or its inverse."""
    cosine, sine = math.cos(angle), sign * math.sin(angle)
    return np.array(((cosine, -sine), (sine, cosine)))
