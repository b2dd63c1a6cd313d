"""References go after their targets without jumps, overshoot or excess of speed."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.sim.control.locoman.reference import SmoothRotation, SmoothVector, eased
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector

TICK_S = 0.002


def test_a_far_target_is_approached_at_the_speed_limit_and_not_overshot() -> None:
    reference, target = SmoothVector(np.zeros(3), 0.4), np.array([0.3, 0.4, 0.0])
    fastest, nearest = 0.0, np.inf
    for _ in range(1500):
        reference.follow(target, TICK_S)
        fastest = max(fastest, float(np.linalg.norm(reference.rate)))
        nearest = min(nearest, float(np.linalg.norm(target) - reference.value @ target / np.linalg.norm(target)))
    assert fastest == pytest.approx(0.4, rel=0.01)
    assert nearest > -1e-6
    np.testing.assert_allclose(reference.value, target, atol=1e-6)
    np.testing.assert_allclose(reference.rate, 0.0, atol=1e-6)


def test_a_jumping_target_gives_a_continuous_rate() -> None:
    reference = SmoothVector(np.zeros(2), 0.4)
    random = np.random.Generator(np.random.PCG64(3))
    before = reference.rate
    for k in range(2000):
        if k % 50 == 0:
            target = random.uniform(-1.0, 1.0, 2)
        reference.follow(target, TICK_S)
        assert np.linalg.norm(reference.rate - before) < 4.0 * 0.4 * reference.bandwidth * TICK_S
        assert np.linalg.norm(reference.rate) < 0.41
        before = reference.rate


def test_a_moving_target_is_lagged_by_two_over_the_bandwidth() -> None:
    reference, speed = SmoothVector(np.zeros(1), 0.4), 0.1
    for k in range(1000):
        target = np.array([speed * TICK_S * k])
        reference.follow(target, TICK_S)
    assert target[0] - reference.value[0] == pytest.approx(speed * 2.0 / reference.bandwidth, rel=0.05)


def test_rotations_take_the_shorter_way() -> None:
    reference = SmoothRotation(np.array([1.0, 0.0, 0.0, 0.0]), 1.5)
    target = -quaternion_from_vector(np.array([0.0, 0.0, 2.0]))  # the same rotation, other sign
    turned = 0.0
    for _ in range(2000):
        reference.follow(target, TICK_S)
        assert np.linalg.norm(reference.rate) < 1.52
        assert abs(np.linalg.norm(reference.value) - 1.0) < 1e-12
        turned += TICK_S * reference.rate[2]
    assert turned == pytest.approx(2.0, abs=1e-3)
    left = rotation_vector(matrix_of(target) @ matrix_of(reference.value).T)
    np.testing.assert_allclose(left, 0.0, atol=1e-6)


def test_easing() -> None:
    assert (eased(-1.0), eased(0.0), eased(0.5), eased(1.0), eased(2.0)) == (0.0, 0.0, 0.5, 1.0, 1.0)
    shares = np.array([eased(s) for s in np.linspace(0.0, 1.0, 101)])
    assert (np.diff(shares) > 0).all()
    assert shares[1] < 1e-4 and shares[-2] > 1.0 - 1e-4
