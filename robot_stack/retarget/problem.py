"""What both passes solve: energies, contacts and limits of every frame, and their value and slope for the robot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body, Sweep

SHORT_LEVER_M = 0.09
"""Joints that move the mesh's points by less for a radian are kept near home [m]."""


@dataclass(frozen=True)
class Weights:
    """How much everything counts beside the mesh energy, whose weight is 1 [m²]."""

    posture: float = 5e-5
    """Squared distance of a joint from home [rad²]; settles what the keypoints leave open."""

    loose: float = 20.0
    """How many times that counts for joints that hardly move the mesh's points (wrists, ankle roll)."""

    loose_first: float = 400.0
    """Likewise in the first pass, which would else turn a hand until a joint is at its stop, and then jump."""

    step: float = 5e-3
    """First pass: squared step from the previous frame [rad², m²]."""

    touch: float = 30.0
    """First pass: squared distance of a touching point from its surface [m²]."""

    hold: float = 10.0
    """First pass: squared way of a touching point since the previous frame [m²]."""

    acceleration: float = 0.02
    """Second pass: squared second difference at 30 frames a second [rad²]."""

    jerk: float = 0.3
    """Second pass: squared third difference at 30 frames a second [rad²]."""

    base_position: float = 10.0
    """What a metre of the base counts against a radian of a joint, squared, in differences."""

    base_rotation: float = 2.0
    """Likewise a radian of the base."""

    constraint: float = 1.28e4
    """Second pass: squared violation of a constraint [m², rad²]."""

    def __post_init__(self) -> None:
        if min(vars(self).values()) <= 0:
            raise ConfigError("the weights of retargeting must be positive", got=self)


@dataclass(frozen=True, eq=False)
class Problem:
    """One motion for one robot."""

    body: Body
    """The robot in its scene."""

    dt: float
    """Time between frames [s]."""

    keypoints: tuple[np.ndarray, np.ndarray]
    """Bodies and offsets of the mesh's points."""

    gram: np.ndarray
    """Mesh energies, shape ``(frames, points, points)``."""

    optimum: np.ndarray
    """Likewise, shape ``(frames, points, 3)`` [m]."""

    soles: tuple[np.ndarray, np.ndarray]
    """Bodies and offsets of all contact points of the robot."""

    touches: np.ndarray
    """Which contact point touches, shape ``(frames, soles)``, bool."""

    source_touches: np.ndarray
    """Which one's keypoint touches in the source, likewise; the robot's may be let go a few frames earlier."""

    normal: np.ndarray
    """Of the touched surface in the world, shape ``(frames, soles, 3)``."""

    on: np.ndarray
    """A point of the touched surface in the world, likewise [m]."""

    objects: np.ndarray
    """Poses of moving objects, shape ``(frames, objects, 7)``."""

    weights: Weights = Weights()
    """Of the terms."""

    acceleration: np.ndarray | None = None
    """Largest acceleration of each joint, shape ``(nv - 6,)`` [rad/s², m/s²]; none is none."""

    nominal: np.ndarray | None = None
    """A motion to stay near to, shape ``(frames, nq)``."""

    nominal_weight: np.ndarray | None = None
    """Cost of a squared step away from it, shape ``(frames, nv)``."""

    def __len__(self) -> int:
        return len(self.gram)

    def part(self, span: slice) -> Problem:
        """A stretch of frames."""
        nominal = None if self.nominal is None else self.nominal[span]
        weight = None if self.nominal_weight is None else self.nominal_weight[span]
        return replace(
            self,
            gram=self.gram[span],
            optimum=self.optimum[span],
            touches=self.touches[span],
            source_touches=self.source_touches[span],
            normal=self.normal[span],
            on=self.on[span],
            objects=self.objects[span],
            nominal=nominal,
            nominal_weight=weight,
        )

    @cached_property
    def posture(self) -> np.ndarray:
        """Weight of each joint's distance from home, shape ``(nv - 6,)``.

        More for joints that hardly move the mesh's points: the points do not settle them.
        """
        sweep = self.body.sweep(self.body.home()[None], near=False)
        slopes = self.body.jacobians(sweep, self.keypoints[0], self.body.places(sweep, *self.keypoints))
        lever = np.sqrt(np.sum(slopes[0, :, :, 6:] ** 2, axis=(0, 1)))
        return self.weights.posture * np.where(lever < SHORT_LEVER_M, self.weights.loose, 1.0)

    def energy(self, places: np.ndarray, frames: slice = slice(None)) -> np.ndarray:
        """Mesh energy above its rest, of keypoints ``(frames, points, 3)``; shape ``(frames,)`` [m²]."""
        off = places - self.optimum[frames]
        return np.einsum("tpi,tpi->t", off, self.gram[frames] @ off)

    def away(self, qpos: np.ndarray, frames: slice = slice(None)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cost of distance from the nominal motion and from home ``(frames,)``, its slope and its diagonal matrix."""
        joints = qpos[:, 7:] - self.body.home()[7:]
        value, slope = joints**2 @ self.posture, np.zeros((len(qpos), self.body.nv))
        slope[:, 6:] = 2.0 * self.posture * joints
        matrix = np.zeros_like(slope)
        matrix[:, 6:] = 2.0 * self.posture
        if self.nominal is not None and self.nominal_weight is not None:
            step, weight = self.body.between(self.nominal[frames], qpos), self.nominal_weight[frames]
            value = value + np.sum(weight * step**2, axis=1)
            slope += 2.0 * weight * step
            matrix += 2.0 * weight
        return value, slope, matrix

    def energy_terms(
        self, sweep: Sweep, places: np.ndarray, frames: slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton matrix ``(frames, nv, nv)`` and gradient ``(frames, nv)`` of the mesh energy."""
        slopes = self.body.jacobians(sweep, self.keypoints[0], places)
        count, points, _, nv = slopes.shape
        pulled = (self.gram[frames] @ slopes.reshape(count, points, 3 * nv)).reshape(count, 3 * points, nv)
        flat = np.swapaxes(slopes.reshape(count, 3 * points, nv), 1, 2)
        off = (places - self.optimum[frames]).reshape(count, 3 * points, 1)
        return 2.0 * flat @ pulled, 2.0 * (np.swapaxes(pulled, 1, 2) @ off)[..., 0]


def difference_scale(body: Body, weights: Weights) -> np.ndarray:
    """What a squared difference of each degree of freedom counts, shape ``(nv,)``."""
    return np.concatenate([np.full(3, weights.base_position), np.full(3, weights.base_rotation), np.ones(body.nv - 6)])
