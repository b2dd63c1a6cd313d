"""A target that jumps is met without overshooting, one that moves evenly without lag, both within the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.safety import Command, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.hardware.approach import Approach

TICK, SPEED, ACCELERATION = 0.002, 2.0, 20.0


def lead(targets: np.ndarray, start: float = 0.0) -> np.ndarray:
    """Approach and safety filter in a row, as in the guard."""
    limits = SafetyLimits(low=(-9.0,), high=(9.0,), max_rate=(SPEED,), max_acceleration=(ACCELERATION,))
    guard = SafetyFilter(limits, TICK, np.array([start]))
    approach = Approach(np.array([SPEED]), np.array([ACCELERATION]), TICK)
    out = []
    for tick, target in enumerate(targets):
        asked = approach.toward(np.array([target]), guard.action)
        out.append(guard.tick(Command(asked, tick * TICK, tick), now_s=tick * TICK).action[0])
    return np.array(out)


@settings(max_examples=12)
@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_a_jump_is_met_without_overshooting(start: float, target: float) -> None:
    way = lead(np.full(1300, target), start)
    assert way[-1] == pytest.approx(target, abs=1e-9)
    beyond = (way - target) * np.sign(target - start)
    assert beyond.max(initial=0.0) <= 1e-9
    assert (np.diff(way) * np.sign(target - start) >= -1e-12).all()


def test_it_takes_no_longer_than_it_must() -> None:
    way = lead(np.full(400, 1.0))
    arrives = int(np.argmax(way > 1.0 - 1e-6)) * TICK
    assert arrives == pytest.approx(1.0 / SPEED + SPEED / ACCELERATION, abs=0.01)


def test_an_even_motion_is_followed_without_lag() -> None:
    targets = np.concatenate([np.zeros(10), np.cumsum(np.full(500, 1.0 * TICK))])
    way = lead(targets)
    assert np.abs(way - targets)[-200:].max() < 1e-9


def test_a_smooth_motion_within_the_limits_is_not_touched() -> None:
    times = np.arange(1600) * TICK
    targets = 0.5 - 0.5 * np.cos(2.0 * times)  # 1 rad/s, 2 rad/s² at most
    assert np.abs(lead(targets) - targets).max() < 1e-12


def test_without_an_acceleration_limit_every_target_passes() -> None:
    approach = Approach(np.array([SPEED]), np.array([np.inf]), TICK)
    for target in (0.1, -3.0, np.nan, np.inf, 5.0):
        assert np.array_equal(approach.toward(np.array([target]), np.zeros(1)), [target], equal_nan=True)
