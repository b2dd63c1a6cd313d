"""Rotations against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robot_stack.sim.control.whole_body.rotations import (
    conjugate,
    interpolate,
    matrix_of,
    product,
    quaternion_from_rpy,
    quaternion_from_vector,
    quaternion_of,
    rotation_vector,
    yaw_of,
)

numbers = st.floats(-3.0, 3.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)


def scipy_quaternion(rotation: Rotation) -> np.ndarray:
    """In our order wxyz, w not negative."""
    x, y, z, w = rotation.as_quat(canonical=True)
    return np.array((w, x, y, z))


@given(vectors)
@settings(max_examples=100, deadline=None)
def test_quaternions_matrices_and_vectors(vector: np.ndarray) -> None:
    known = Rotation.from_rotvec(vector)
    quaternion = quaternion_from_vector(vector)
    np.testing.assert_allclose(matrix_of(quaternion), known.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrix_of(3.0 * quaternion), known.as_matrix(), atol=1e-12)
    found = quaternion_of(known.as_matrix())
    assert found[0] >= 0.0
    np.testing.assert_allclose(matrix_of(found), known.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(Rotation.from_rotvec(rotation_vector(known.as_matrix())).as_matrix(), known.as_matrix())
    assert np.linalg.norm(rotation_vector(known.as_matrix())) <= np.pi + 1e-9


@given(vectors, vectors)
@settings(max_examples=60, deadline=None)
def test_products_and_inverses(first: np.ndarray, second: np.ndarray) -> None:
    a, b = quaternion_from_vector(first), quaternion_from_vector(second)
    np.testing.assert_allclose(matrix_of(product(a, b)), matrix_of(a) @ matrix_of(b), atol=1e-12)
    np.testing.assert_allclose(matrix_of(conjugate(a)), matrix_of(a).T, atol=1e-12)
    half = matrix_of(interpolate(a, b, 0.5))
    np.testing.assert_allclose(half @ matrix_of(a).T @ half, matrix_of(b), atol=1e-6)
    np.testing.assert_allclose(matrix_of(interpolate(a, b, 1.0)), matrix_of(b), atol=1e-9)


@given(vectors)
@settings(max_examples=60, deadline=None)
def test_roll_pitch_yaw(rpy: np.ndarray) -> None:
    known = Rotation.from_euler("xyz", rpy)
    np.testing.assert_allclose(matrix_of(quaternion_from_rpy(rpy)), known.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_half_turns(axis: int) -> None:
    vector = np.pi * np.eye(3)[axis]
    matrix = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(np.abs(rotation_vector(matrix)), vector, atol=1e-7)


def test_yaw() -> None:
    assert yaw_of(matrix_of(quaternion_from_rpy(np.array([0.3, -0.2, 1.1])))) == pytest.approx(1.1)
