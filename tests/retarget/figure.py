"""A stick figure that walks, for files of every kind."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.motion import KEYPOINTS

LEG_M = 0.84


def walker(frames: int = 60, fps: float = 30.0, speed: float = 1.0) -> np.ndarray:
    """Keypoints of an adult who walks along x, z up, feet near the ground, shape ``(frames, 15, 3)`` [m]."""
    time = np.arange(frames) / fps
    points = {"pelvis": np.stack([speed * time, 0 * time, 0.92 + 0.01 * np.cos(4 * np.pi * time)], axis=1)}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = points["pelvis"] + (0.0, sign * 0.09, -0.02)
        swing = 0.35 * sign * np.sin(2 * np.pi * time)
        bend = 0.25 + 0.15 * np.cos(2 * np.pi * time)
        knee = hip + 0.42 * np.stack([np.sin(swing + bend), 0 * time, -np.cos(swing + bend)], axis=1)
        ankle = knee + 0.42 * np.stack([np.sin(swing - bend), 0 * time, -np.cos(swing - bend)], axis=1)
        shoulder = points["pelvis"] + (0.0, sign * 0.19, 0.5)
        elbow = shoulder + 0.28 * np.stack([-np.sin(swing), 0 * time, -np.cos(swing)], axis=1)
        wrist = elbow + 0.26 * np.stack([np.sin(0.4 - swing), 0 * time, -np.cos(0.4 - swing)], axis=1)
        points |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
        points |= {f"{side}_toe": ankle + np.array([0.14, 0.0, -0.05])}
        points |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
    return np.stack([points[name] for name in KEYPOINTS], axis=1)


def filled(joints: tuple[str, ...], keypoints: dict[str, str], walk: np.ndarray) -> np.ndarray:
    """The walk as an array of any skeleton; joints that are no keypoints lie beside the pelvis, shape of the file."""
    rng = np.random.default_rng(0)
    out = walk[:, :1] + rng.uniform(-0.1, 0.1, (1, len(joints), 3))
    for keypoint, joint in keypoints.items():
        out[:, joints.index(joint)] = walk[:, KEYPOINTS.index(keypoint)]
    return out
