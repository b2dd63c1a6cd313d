"""The trunk's reference while walking: a pose that moves along the commanded velocity, on a leash to the robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M


@dataclass(frozen=True)
class WalkConfig:
    """What velocities are served, and how they are approached."""

    velocity: tuple[float, float, float] = (0.6, 0.4, 1.0)
    """Largest forward and sideways velocity [m/s] and yaw rate [rad/s]."""

    acceleration: tuple[float, float, float] = (1.0, 0.8, 2.5)
    """At most [m/s², m/s², rad/s²]."""

    height_m: float = 0.28
    """Of the trunk above the floor [m]; LocoMan's."""

    height_offset_m: tuple[float, float] = (-0.06, 0.03)
    """Least and largest offset from it that may be asked for [m]."""

    tilt_rad: float = 0.25
    """Largest roll and pitch that may be asked for [rad]."""

    leash_m: float = 0.05
    """The reference is never further from the trunk than this [m]."""

    leash_rad: float = 0.15
    """Likewise in heading [rad]."""

    still: tuple[float, float] = (0.1, 0.2)
    """Below this velocity [m/s] and yaw rate [rad/s] a robot without command counts as standing."""

    height_rate: float = 0.15
    """Height [m/s] and tilt [rad/s] references change at most so fast."""

    def __post_init__(self) -> None:
        if min(*self.velocity, *self.acceleration, self.leash_m, self.leash_rad) <= 0:
            raise ConfigError("walking needs positive limits", got=self)


class Walk:
    """The reference, tick by tick.

    Args:
        config: limits.
    """

    def __init__(self, config: WalkConfig) -> None:
        self.config = config
        self._most = np.array(config.velocity)
        self._change = np.array(config.acceleration)
        self.command = np.zeros(3)
        """Velocity in force: forward, left in the heading [m/s], yaw [rad/s], shape ``(3,)``."""
        self.position = np.zeros(3)
        """Of the trunk in the world, shape ``(3,)`` [m]."""
        self.velocity = np.zeros(3)
        """Of the trunk in world axes, shape ``(3,)`` [m/s]."""
        self.rpy = np.zeros(3)
        """Of the trunk in the world: roll, pitch, yaw, shape ``(3,)`` [rad]."""
        self.is_still = True
        """Nothing is commanded, and the robot does not move."""

    @property
    def yaw_rate(self) -> float:
        """Of the reference [rad/s]."""
        return float(self.command[2])

    def reset(self, dynamics: Dynamics, floor_m: float) -> None:
        """Begin at rest where the robot is.

        Args:
            dynamics: at the robot's state.
            floor_m: height of the standing feet's centres [m].
        """
        self.command[:] = 0.0
        self.velocity[:] = 0.0
        self.position[:] = dynamics.position(dynamics.base)
        self.rpy[:] = (0.0, 0.0, yaw_of(dynamics.rotation(dynamics.base)))
        self._tilt = np.zeros(2)
        self._rise_m = float(self.position[2]) - floor_m
        self.is_still = True

    def advance(self, wanted: np.ndarray, dynamics: Dynamics, elapsed_s: float) -> None:
        """Approach the wanted velocity, and move along.

        Args:
            wanted: forward, left [m/s], yaw rate [rad/s], shape ``(3,)``.
            dynamics: at the robot's state.
            elapsed_s: since the last call [s].
        """
        most = self._change * elapsed_s
        wanted = np.minimum(np.maximum(wanted, -self._most), self._most)
        self.command += np.minimum(np.maximum(wanted - self.command, -most), most)
        yaw = self.rpy[2] + self.command[2] * elapsed_s
        measured = yaw_of(dynamics.rotation(dynamics.base))
        lag = (yaw - measured + math.pi) % (2 * math.pi) - math.pi
        self.rpy[2] = measured + min(max(lag, -self.config.leash_rad), self.config.leash_rad)
        cosine, sine = math.cos(self.rpy[2]), math.sin(self.rpy[2])
        forward, left = float(self.command[0]), float(self.command[1])
        self.velocity[:2] = forward * cosine - left * sine, forward * sine + left * cosine
        place = dynamics.position(dynamics.base)
        lead = self.position[:2] + self.velocity[:2] * elapsed_s - place[:2]
        length = math.hypot(*lead)
        self.position[:2] = place[:2] + lead * min(1.0, self.config.leash_m / max(length, 1e-9))
        slow, turn = self.config.still
        moving = dynamics.velocity[:BASE]
        calm = math.hypot(moving[0], moving[1]) < slow and abs(moving[5]) < turn
        self.is_still = calm and not self.command.any()

    def pose(self, rpy: np.ndarray, lift_m: float, floor_m: float, elapsed_s: float) -> None:
        """Approach the wanted height and tilt.

        Args:
            rpy: offsets of roll and pitch (yaw is the velocity's business), shape ``(3,)`` [rad].
            lift_m: offset of the height [m].
            floor_m: height of the standing feet's centres [m].
            elapsed_s: since the last call [s].
        """
        config, most = self.config, self.config.height_rate * elapsed_s
        wanted = np.minimum(np.maximum(rpy[:2], -config.tilt_rad), config.tilt_rad)
        self._tilt += np.minimum(np.maximum(wanted - self._tilt, -most), most)
        low, high = config.height_offset_m
        rise = config.height_m - FOOT_RADIUS_M + min(max(lift_m, low), high)
        self._rise_m += min(max(rise - self._rise_m, -most), most)
        self.rpy[:2] = self._tilt
        self.position[2] = floor_m + self._rise_m
