"""A person of sticks: fifteen keypoints from where pelvis, trunk, feet and hands are, with bones of fixed length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d, minimum_filter1d

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.motion import KEYPOINTS

LEFT_RIGHT = (("left", 1.0), ("right", -1.0))
"""Sides, and the sign of their y in the person's frame (x forward, y to the left, z up)."""


@dataclass(frozen=True)
class StickFigure:
    """Lengths of a grown-up 1.70 m tall, after Winter, Biomechanics and Motor Control of Human Movement (table 4.1)."""

    height_m: float = 1.70
    """Standing height [m]; the bones below are those of 1.70 m and are multiplied by ``height_m / 1.70``."""

    hip_half_m: float = 0.09
    """From the pelvis to each hip, sideways [m]."""

    thigh_m: float = 0.42
    """Hip to knee [m]."""

    shin_m: float = 0.42
    """Knee to ankle [m]."""

    ankle_height_m: float = 0.08
    """Of the ankle over a sole that stands [m]."""

    toe_height_m: float = 0.03
    """Of the ball of the foot over it [m]."""

    foot_m: float = 0.14
    """From below the ankle forward to the ball of the foot [m]."""

    trunk_m: float = 0.48
    """Pelvis to the middle between the shoulders [m]."""

    shoulder_half_m: float = 0.18
    """From there to each shoulder [m]."""

    upper_arm_m: float = 0.29
    """Shoulder to elbow [m]."""

    forearm_m: float = 0.26
    """Elbow to wrist [m]."""

    palm_m: float = 0.05
    """Distance of the wrist's point from a surface that the palm lies on [m]."""

    @property
    def unit(self) -> float:
        """What the lengths are multiplied by."""
        return self.height_m / 1.70

    def pelvis_heights(self, p_pelvis: np.ndarray, ankles: np.ndarray, highest: np.ndarray, smooth: int) -> np.ndarray:
        """Heights of the pelvis that both legs reach, as high as ``highest`` and as smooth as asked, ``(frames,)`` [m].

        Args:
            p_pelvis: its path; only x and y count, shape ``(frames, 3)`` [m].
            ankles: of both feet, shape ``(frames, 2, 3)`` [m].
            highest: not above this, shape ``(frames,)`` [m].
            smooth: frames on each side that take part in the average.
        """
        longest = 0.985 * (self.thigh_m + self.shin_m) * self.unit
        aside = np.linalg.norm(ankles[..., :2] - p_pelvis[:, None, :2], axis=2)
        # A hip is nearer to its own foot than the pelvis is, so that the pelvis's distance is on the safe side.
        most = ankles[..., 2] + np.sqrt(np.maximum(longest**2 - aside**2, (0.3 * longest) ** 2))
        limit = np.minimum(most.min(axis=1), highest)
        return smoothed(minimum_filter1d(limit, 2 * smooth + 1, mode="nearest"), smooth)

    def keypoints(
        self, pelvis: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, ankles: np.ndarray, wrists: np.ndarray
    ) -> np.ndarray:
        """All of :data:`~robot_stack.retarget.motion.KEYPOINTS`, shape ``(frames, 15, 3)`` [m].

        Args:
            pelvis: its path, shape ``(frames, 3)`` [m].
            yaw: heading of the body, shape ``(frames,)`` [rad].
            pitch: how far the trunk leans forward, shape ``(frames,)`` [rad].
            ankles: left and right, of feet that are flat and point where the body heads, ``(frames, 2, 3)`` [m].
            wrists: left and right, shape ``(frames, 2, 3)`` [m].

        Raises:
            ConfigError: if a limb is too short for what is asked.
        """
        u, zero = self.unit, np.zeros_like(yaw)
        forward = np.stack([np.cos(yaw), np.sin(yaw), zero], axis=1)
        left = np.stack([-np.sin(yaw), np.cos(yaw), zero], axis=1)
        up = np.array([0.0, 0.0, 1.0])
        spine = np.cos(pitch)[:, None] * up + np.sin(pitch)[:, None] * forward
        front = np.cos(pitch)[:, None] * forward - np.sin(pitch)[:, None] * up
        points: dict[str, np.ndarray] = {"pelvis": pelvis}
        for i, (side, sign) in enumerate(LEFT_RIGHT):
            hip = pelvis + sign * self.hip_half_m * u * left
            shoulder = pelvis + self.trunk_m * u * spine + sign * self.shoulder_half_m * u * left
            ankle, wrist = ankles[:, i], wrists[:, i]
            knee = bent(hip, ankle, self.thigh_m * u, self.shin_m * u, forward + 0.1 * sign * left, f"{side} leg")
            back = -front + 0.4 * sign * left - 0.3 * up
            elbow = bent(shoulder, wrist, self.upper_arm_m * u, self.forearm_m * u, back, f"{side} arm")
            toe = ankle + self.foot_m * u * forward - (self.ankle_height_m - self.toe_height_m) * u * up
            names = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")
            limb = (hip, knee, ankle, toe, shoulder, elbow, wrist)
            points |= {f"{side}_{name}": path for name, path in zip(names, limb, strict=True)}
        return np.stack([points[name] for name in KEYPOINTS], axis=1)


def bent(
    start: np.ndarray, end: np.ndarray, upper_m: float, lower_m: float, towards: np.ndarray, what: str
) -> np.ndarray:
    """The middle joint of two bones between two points, bent to one side, shape ``(frames, 3)`` [m].

    Args:
        start: shape ``(frames, 3)`` [m].
        end: likewise.
        upper_m: length of the bone at the start [m].
        lower_m: of the one at the end [m].
        towards: direction in which the joint sticks out, shape ``(frames, 3)``.
        what: name of the limb, for errors.

    Raises:
        ConfigError: if the points are farther apart, or nearer, than the bones allow.
    """
    way = end - start
    apart = np.linalg.norm(way, axis=1)
    if (apart > upper_m + lower_m).any() or (apart < abs(upper_m - lower_m) + 1e-6).any():
        t = int(np.argmax(np.abs(apart - 0.5 * (upper_m + lower_m))))
        raise ConfigError(
            f"a stick figure's {what} does not reach",
            where=f"frame {t}",
            got=f"{apart[t]:.3f} m from end to end",
            expected=f"between {abs(upper_m - lower_m):.3f} and {upper_m + lower_m:.3f} m",
            remedy="ask for shorter steps, or for objects that are nearer",
        )
    along = way / apart[:, None]
    near = (apart**2 + upper_m**2 - lower_m**2) / (2 * apart)
    out = np.sqrt(np.maximum(upper_m**2 - near**2, 0.0))
    aside = towards - np.sum(towards * along, axis=1, keepdims=True) * along
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return start + near[:, None] * along + out[:, None] * aside


def smoothed(path: np.ndarray, reach: int) -> np.ndarray:
    """A running average over ``reach`` frames on each side with a bell of weights, same shape."""
    if reach < 1:
        return path
    bell = np.hanning(2 * reach + 3)[1:-1]
    return convolve1d(path, bell / bell.sum(), axis=0, mode="nearest")


def minimum_jerk(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 without speed and acceleration at both ends (Flash and Hogan, 1985)."""
    s = np.clip(share, 0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s**2)
