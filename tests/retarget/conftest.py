"""Motions with known answers, and the shared climbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.retarget.body import Body
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
from robot_stack.retarget.motion import KEYPOINTS, Motion
from robot_stack.retarget.scene import Scene, SceneObject, read_obj
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

TABLE = KEYPOINT_TABLES["unitree_g1"]
CLIMBS = Path(__file__).resolve().parents[2].parent / "shared" / "motions" / "climb"
FREE = ("ankle_roll", "wrist")
"""Joints that keypoints do not determine, and that synthetic motions leave at home."""


def robot_motion(frames: int = 40, lift_m: float = 0.6, seed: int = 3) -> tuple[np.ndarray, Motion, Body]:
    """A smooth motion of the G1 in the air, as ``qpos`` and as the motion of its own keypoints."""
    body = Body(UNITREE_G1, Scene())
    rng = np.random.default_rng(seed)
    time = np.linspace(0.0, 1.0, frames)[:, None]
    swing = rng.uniform(-0.35, 0.35, (1, body.nv)) * np.sin(2 * np.pi * time + rng.uniform(0, 6.28, (1, body.nv)))
    for i, name in enumerate(body.joint_names):
        if any(word in name for word in FREE):
            swing[:, 6 + i] = 0.0
    home = np.repeat(body.home()[None], frames, axis=0)
    home[:, 2] += lift_m
    # Shoulders away from the trunk, so that nothing touches.
    for side, sign in (("left", 1.0), ("right", -1.0)):
        home[:, 7 + body.joint_names.index(f"{side}_shoulder_roll_joint")] = sign * 0.7
        home[:, 7 + body.joint_names.index(f"{side}_hip_roll_joint")] = sign * 0.4
    qpos = body.moved(home, swing)
    return qpos, keypoint_motion(body, qpos), body


def keypoint_motion(body: Body, qpos: np.ndarray, fps: float = 30.0) -> Motion:
    """The motion that the robot's own keypoints make."""
    sweep = body.sweep(qpos, near=False)
    places = body.places(sweep, *body.points(tuple(TABLE.keypoints[name] for name in KEYPOINTS)))
    return Motion(KEYPOINTS, places, fps, {name: name for name in KEYPOINTS}, TABLE.height_m, source="robot")


def climb(number: int, frames: int) -> tuple[Motion, Scene]:
    """The beginning of a shared climb at 30 frames a second."""
    folder = CLIMBS / f"seq_{number}"
    if not folder.is_dir():
        pytest.skip("the shared climbing motions are not here")
    hand = [f"{finger}{i}" for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky") for i in (1, 2, 3)]
    names = ["Hips", "Spine", "Spine1", "Neck", "Head"]
    for side in ("Left", "Right"):
        names += [side + part for part in ("Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{h}" for h in hand))]
    for side in ("Left", "Right"):
        names += [side + part for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    names += ["LeftFootMod", "RightFootMod"]
    parts = {"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "toe": "ToeBase"}
    parts |= {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand"}
    mapping = {"pelvis": "Hips"}
    mapping |= {f"{side.lower()}_{k}": side + v for side in ("Left", "Right") for k, v in parts.items()}
    positions = np.load(next(folder.glob("*.npy"))).astype(np.float64)[::4][:frames]
    boxes = [SceneObject.convex(f.stem, read_obj(f)) for f in sorted(folder.glob("box?.obj"))]
    return Motion(tuple(names), positions, 30.0, mapping, 1.78, source=f"climb {number}"), Scene(tuple(boxes))
