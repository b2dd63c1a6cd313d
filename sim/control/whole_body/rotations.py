"""Rotations as whole-body control needs them: unit quaternions wxyz, matrices, rotation vectors, roll-pitch-yaw.

Written for single small arrays at a control rate: plain floats instead of array operations where that is faster.
"""

from __future__ import annotations

import math

import numpy as np

_TINY = 1e-12


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix, shape ``(3, 3)``, of a quaternion wxyz of any length but zero, shape ``(4,)``."""
    w, x, y, z = (float(number) for number in quaternion)
    s = 2.0 / max(w * w + x * x + y * y + z * z, _TINY)
    return np.array(
        (
            (1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)),
            (s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)),
            (s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)),
        )
    )


def quaternion_of(matrix: np.ndarray) -> np.ndarray:
    """Unit quaternion wxyz, shape ``(4,)``, w not negative, of a rotation matrix, shape ``(3, 3)``.

    Shepperd's method (1978): divides by the largest of the four numbers, so it is accurate at every angle.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    squares = (a + e + i, a - e - i, e - a - i, i - a - e)
    largest = squares.index(max(squares))
    r = math.sqrt(max(1.0 + squares[largest], _TINY))
    s = 0.5 / r
    quaternion = np.array(
        (
            (0.5 * r, (h - f) * s, (c - g) * s, (d - b) * s),
            ((h - f) * s, 0.5 * r, (d + b) * s, (c + g) * s),
            ((c - g) * s, (d + b) * s, 0.5 * r, (h + f) * s),
            ((d - b) * s, (c + g) * s, (h + f) * s, 0.5 * r),
        )[largest]
    )
    return -quaternion if quaternion[0] < 0.0 else quaternion


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle [rad], shape ``(3,)``, length at most pi, of a rotation matrix, shape ``(3, 3)``."""
    w, x, y, z = quaternion_of(matrix).tolist()
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < _TINY else 2.0 * math.atan2(sine, w) / sine
    return np.array((scale * x, scale * y, scale * z))


def quaternion_from_vector(vector: np.ndarray) -> np.ndarray:
    """Unit quaternion wxyz, shape ``(4,)``, of a rotation vector [rad], shape ``(3,)``."""
    angle = float(np.linalg.norm(vector))
    scale = 0.5 if angle < _TINY else math.sin(0.5 * angle) / angle
    return np.concatenate(([math.cos(0.5 * angle)], scale * np.asarray(vector, dtype=np.float64)))


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Quaternion wxyz, shape ``(4,)``, of ``second`` followed by ``first`` (as matrices: first @ second)."""
    a, b, c, d = first.tolist()
    w, x, y, z = second.tolist()
    return np.array(
        (
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        )
    )


def conjugate(quaternion: np.ndarray) -> np.ndarray:
    """The inverse rotation, wxyz, shape ``(4,)``."""
    return quaternion * np.array((1.0, -1.0, -1.0, -1.0))


def interpolate(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """The rotation ``share`` (0 … 1) of the shorter way from ``start`` to ``end``, wxyz, shape ``(4,)``."""
    between = product(end, conjugate(start))
    turn = rotation_vector(matrix_of(between))
    return product(quaternion_from_vector(share * turn), start)


def quaternion_from_rpy(rpy: np.ndarray) -> np.ndarray:
    """Quaternion wxyz, shape ``(4,)``, of roll, pitch, yaw about the fixed axes x, y, z in that order [rad]."""
    cr, cp, cy = (math.cos(0.5 * angle) for angle in rpy)
    sr, sp, sy = (math.sin(0.5 * angle) for angle in rpy)
    return np.array(
        (
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        )
    )


def yaw_of(matrix: np.ndarray) -> float:
    """Heading of the x axis about the world's z axis [rad], of a rotation matrix, shape ``(3, 3)``."""
    return math.atan2(float(matrix[1, 0]), float(matrix[0, 0]))
