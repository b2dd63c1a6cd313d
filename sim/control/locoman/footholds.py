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
        self._hips = HIPS

    def reset(self, dynamics: Dynamics) -> None:
        """Take over where the centre of mass lies in the trunk.

        Args:
            dynamics: at the robot's state, standing.
        """
        offset = dynamics.com - dynamics.position(dynamics.base)
        shift, _ = _rotated(-yaw_of(dynamics.rotation(dynamics.base)), (float(offset[0]), float(offset[1])))
        self._hips = tuple((x + shift, y) for x, y in HIPS)

    def are_home(self, feet: np.ndarray, dynamics: Dynamics) -> bool:
        """Whether every foot is near to under its hip.

        Args:
            feet: their centres, shape ``(4, 3)`` [m].
            dynamics: at the robot's state.
        """
        x, y, _ = dynamics.position(dynamics.base).tolist()
        heading, near = yaw_of(dynamics.rotation(dynamics.base)), self.config.home_m
        for hip, foot in zip(HIPS, feet.tolist(), strict=True):
            local = _rotated(-heading, (foot[0] - x, foot[1] - y))
            if math.hypot(local[0] - hip[0], local[1] - hip[1]) >= near:
                return False
        return True

    def goal(self, leg: int, walk: Walk, dynamics: Dynamics, swing: float, floor_m: float) -> np.ndarray:
        """Where one foot lands.

        Args:
            leg: 0 … 3 for FR, FL, RR, RL.
            walk: the commanded motion.
            dynamics: at the robot's state.
            swing: how far the foot is on its way, 0 … 1.
            floor_m: height of standing feet's centres [m].

        Returns:
            In the world, shape ``(3,)`` [m].
        """
        config, gait = self.config, self._gait
        base, heading = dynamics.position(dynamics.base), yaw_of(dynamics.rotation(dynamics.base))
        left_s, half = (1.0 - swing) * gait.swing_s, 0.5 * gait.stance_s
        hip = _rotated(heading + walk.yaw_rate * left_s, self._hips[leg])
        mid = _rotated(heading + walk.yaw_rate * (left_s + half), self._hips[leg])
        x, y, _ = dynamics.velocity[:3].tolist()
        wanted_x, wanted_y, _ = walk.velocity.tolist()
        reach_x = x * half + config.feedback_s * (x - wanted_x) + mid[0] - hip[0]
        reach_y = y * half + config.feedback_s * (y - wanted_y) + mid[1] - hip[1]
        along, across = _rotated(-heading, (reach_x, reach_y))
        most_along, most_across = config.reach_m
        along, across = min(max(along, -most_along), most_along), min(max(across, -most_across), most_across)
        reach = _rotated(heading, (along, across))
        return np.array(
            (
                base[0] + x * left_s + hip[0] + reach[0],
                base[1] + y * left_s + hip[1] + reach[1],
                floor_m - config.settle_m,
            )
        )


def _rotated(angle: float, point: tuple[float, float]) -> tuple[float, float]:
    """A point turned in the plane."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return cosine * point[0] - sine * point[1], sine * point[0] + cosine * point[1]
