"""Rotation matrices over time, for forward kinematics of files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations about a coordinate axis (0, 1, 2), shape ``(frames, 3, 3)``, by angles ``(frames,)`` [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1.0
    out[:, i, i] = out[:, j, j] = c
    out[:, j, i], out[:, i, j] = s, -s
    return out


def chained(turns: Sequence[np.ndarray]) -> np.ndarray:
    """Product from left to right."""
    out = turns[0]
    for turn in turns[1:]:
        out = out @ turn
    return out


def from_vectors(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors ``(..., 3)`` [rad] as matrices ``(..., 3, 3)``, by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    axis = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    skew = np.zeros((*vectors.shape, 3))
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    skew[..., 0, 1], skew[..., 0, 2] = -z, y
    skew[..., 1, 0], skew[..., 1, 2] = z, -x
    skew[..., 2, 0], skew[..., 2, 1] = -y, x
    return np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * (skew @ skew)
