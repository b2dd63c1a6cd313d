"""Which axis points up and what the unit of length is, told from the body itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from robot_stack.retarget.skeletons import Skeleton, Up

UNITS: dict[str, float] = {
    "m": 1.0,
    "dm": 0.1,
    "cm": 0.01,
    "mm": 0.001,
    "inch": 0.0254,
    "foot": 0.3048,
    "cmu": 0.0254 / 0.45,
}
"""Metres in each; CMU's unit, also that of BVH files made from its ASF, is an inch over 0.45."""

_GUESSED = ("m", "cm", "mm", "inch", "cmu")
"""Units that files really have; the others must be said."""

USUAL_LEG_M = 0.85
"""Hip to ankle of an adult [m]."""

HUMAN_LEG_M = (0.42, 1.1)
"""Hip to ankle of any person who walks, from a small child of 0.9 m to a man of 2.3 m [m]."""

TO_Z_UP: dict[Up, np.ndarray] = {
    "z": np.eye(3),
    "y": np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
    "x": np.array([[0, 0, -1.0], [0, 1.0, 0], [1.0, 0, 0]]),
    "-z": np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]]),
    "-y": np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]),
    "-x": np.array([[0, 0, 1.0], [0, 1.0, 0], [-1.0, 0, 0]]),
}
"""Rotation that takes each axis to z."""

BONES = tuple(
    bone
    for side in ("left", "right")
    for bone in (
        (f"{side}_hip", f"{side}_knee"),
        (f"{side}_knee", f"{side}_ankle"),
        (f"{side}_ankle", f"{side}_toe"),
        (f"{side}_shoulder", f"{side}_elbow"),
        (f"{side}_elbow", f"{side}_wrist"),
    )
)
"""Limb bones, whose lengths do not change."""


def bone_lengths(
    names: tuple[str, ...],
    positions: np.ndarray,
    mapping: dict[str, str],
    bones: Sequence[tuple[str, str]] = BONES,
) -> list[np.ndarray]:
    """Length over time of every bone that is there, each ``(frames,)``; NaN where an end was not seen."""
    index = {name: i for i, name in enumerate(names)}
    out = []
    for first, second in bones:
        if first in mapping and second in mapping:
            a, b = positions[:, index[mapping[first]]], positions[:, index[mapping[second]]]
            length = np.linalg.norm(b - a, axis=1)
            if np.isfinite(length).any():
                out.append(np.where(np.isfinite(length), length, np.nan))
    return out


def guess_up(names: tuple[str, ...], positions: np.ndarray, mapping: dict[str, str]) -> Up | None:
    """The axis along which the body stands: ankles, hips and shoulders above one another.

    Returns:
        The axis, or ``None`` when the body lies, crawls or turns over too much to tell.
    """
    index = {name: i for i, name in enumerate(names)}

    def middle(part: str) -> np.ndarray | None:
        there = [index[mapping[k]] for k in (f"left_{part}", f"right_{part}") if k in mapping]
        return positions[:, there].mean(axis=1) if there else None

    chain = [m for part in ("ankle", "hip", "shoulder") if (m := middle(part)) is not None]
    if len(chain) < 2:
        return None
    stands = chain[-1] - chain[0]
    size = np.linalg.norm(stands, axis=1)
    stands = stands[np.isfinite(size) & (size > 0)]
    if not len(stands):
        return None
    mean = (stands / np.linalg.norm(stands, axis=1, keepdims=True)).mean(axis=0)
    axis = int(np.argmax(np.abs(mean)))
    others = np.delete(np.abs(mean), axis)
    if abs(mean[axis]) < 0.6 or others.max() > 0.7 * abs(mean[axis]):
        return None
    name = "xyz"[axis] if mean[axis] > 0 else f"-{'xyz'[axis]}"
    return next(up for up in TO_Z_UP if up == name)


def guess_unit(names: tuple[str, ...], positions: np.ndarray, mapping: dict[str, str]) -> tuple[str, float | None]:
    """The unit in which a leg has about the length of an adult's, and that length.

    A unit in which a person could have that leg goes before a nearer one that makes a giant: 21.7 are inches of a
    child's leg, not 1.2 m in CMU's unit.

    Returns:
        Unit (empty when none fits) and hip to ankle in the file's unit (``None`` without a whole leg).
    """
    legs = []
    for side in ("left", "right"):
        pair = ((f"{side}_hip", f"{side}_knee"), (f"{side}_knee", f"{side}_ankle"))
        bones = bone_lengths(names, positions, mapping, pair)
        if len(bones) == 2:
            legs.append(sum(float(np.nanmedian(bone)) for bone in bones))
    if not legs or not np.mean(legs) > 0:
        return "", None
    leg = float(np.mean(legs))
    off = {unit: abs(np.log(leg * UNITS[unit] / USUAL_LEG_M)) for unit in _GUESSED}
    human = [unit for unit in off if HUMAN_LEG_M[0] < leg * UNITS[unit] < HUMAN_LEG_M[1]]
    best = min(human or off, key=lambda unit: off[unit])
    return (best if off[best] < np.log(1.9) else ""), leg


def steadiness(skeleton: Skeleton, positions: np.ndarray) -> float:
    """How far an array is from having this skeleton: bones change length, and left bones differ from right ones.

    Returns:
        0 for a rigid, symmetric body; ``inf`` when its points coincide.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        lengths = np.stack(bone_lengths(skeleton.joints, positions, skeleton.keypoints))
        mean, spread = np.nanmean(lengths, axis=1), np.nanstd(lengths, axis=1)
    if not (mean > 0).all():
        return float("inf")
    half = len(mean) // 2
    left, right = mean[:half], mean[half:]
    return float(np.mean(spread / mean) + np.mean(np.abs(left - right) / (left + right)))


def turned_objects(quaternions: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Orientations ``(frames, 4)`` wxyz after the world's axes were turned; objects keep their own frames."""
    from scipy.spatial.transform import Rotation

    out = (Rotation.from_matrix(turn) * Rotation.from_quat(np.roll(quaternions, -1, axis=1))).as_quat()
    return np.roll(out, 1, axis=1)
