"""No value out of limits ever leaves the safety filter, and every intervention has its reason."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.safety import REASONS, Command, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits

PERIOD_S = 0.02
SIZE = 3


def limits(**changes: object) -> SafetyLimits:
    values: dict[str, object] = {
        "low": (-1.0, -2.0, 0.0),
        "high": (1.0, 2.0, 0.5),
        "max_rate": (1.0, 2.0, 0.5),
        "max_acceleration": (10.0, 20.0, 5.0),
        "max_step": (0.05, 0.03, 0.02),
        "command_timeout_s": 0.1,
        "observation_timeout_s": 0.1,
    }
    return SafetyLimits(**{**values, **changes})  # type: ignore[arg-type]


def filter_at(start: tuple[float, ...] = (0.0, 0.0, 0.25), **changes: object) -> SafetyFilter:
    return SafetyFilter(limits(**changes), PERIOD_S, np.array(start))


def adversary(rng: np.random.Generator, now_s: float, sequence: int) -> Command | None:
    kind = rng.integers(8)
    action = rng.normal(size=SIZE) * 10.0 ** rng.integers(-3, 6)
    if kind == 0:
        return None
    if kind == 1:
        action[rng.integers(SIZE)] = rng.choice([np.nan, np.inf, -np.inf, 1e308])
    if kind == 2:
        action = action[: rng.integers(SIZE)]
    if kind == 3:
        action = np.sign(rng.normal(size=SIZE)) * 1e300
    age_s = rng.choice([0.0, 0.01, 0.09, 0.11, 5.0, -5.0, np.nan])
    return Command(action, now_s - age_s, int(sequence - rng.integers(0, 3) * (kind == 4)))


def test_nothing_out_of_limits_leaves_under_random_and_adversarial_ticks() -> None:
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    ticks = 0
    for _ in range(60):
        bounds = limits(needs_deadman=True, max_tilt_rad=1.0, workspace_low=(-1, -1, 0), workspace_high=(1, 1, 2))
        low, high = np.array(bounds.low), np.array(bounds.high)
        previous = rng.uniform(low, high)
        guard = SafetyFilter(bounds, PERIOD_S, previous)
        step = np.minimum(np.array(bounds.max_step), np.array(bounds.max_rate) * PERIOD_S)
        was_latched = False
        for tick in range(300):
            now_s = tick * PERIOD_S
            measured = Measured(
                now_s - rng.choice([0.0, 0.0, 0.0, 0.05] + [0.2] * (tick > 200)),
                points_world=np.array([[0, 0, 1.0]]) * (1 + 3 * (rng.random() < 0.001)),
                tilt_rad=rng.choice([0.0, np.nan if rng.random() < 0.002 else 0.1]),
            )
            command = adversary(rng, now_s, tick)
            out = guard.tick(command, now_s=now_s, measured=measured, deadman=rng.random() < 0.95)
            assert np.isfinite(out.action).all()
            assert (out.action >= low).all() and (out.action <= high).all()
            assert (np.abs(out.action - previous) <= step * (1 + 1e-9)).all()
            reasons = {i.reason for i in out.interventions}
            assert reasons <= set(REASONS)
            as_asked = command is not None and np.array_equal(np.asarray(command.action), out.action)
            assert reasons or as_asked, "a change without a reason"
            assert not (was_latched and guard.latched is None)
            was_latched = guard.latched is not None
            seen |= reasons
            previous = out.action
            ticks += 1
    assert ticks == 18_000
    assert {"non_finite", "wrong_size", "stale_command", "old_sequence", "deadman", "tilt", "workspace"} <= seen
    assert {"stale_observation", "latched_stop", "position", "step", "acceleration"} <= seen


def test_a_good_command_passes_unchanged() -> None:
    guard = filter_at()
    out = guard.tick(Command(np.array([0.002, -0.003, 0.251]), 0.0), now_s=0.0, measured=Measured(0.0))
    assert np.array_equal(out.action, [0.002, -0.003, 0.251])
    assert out.interventions == ()


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_acceleration_is_kept_and_braking_ends_at_the_limit(direction: float) -> None:
    bounds = SafetyLimits(low=(-1.0,), high=(1.0,), max_rate=(3.0,), max_acceleration=(4.0,))
    guard = SafetyFilter(bounds, PERIOD_S, np.zeros(1))
    track = [0.0, 0.0]
    for tick in range(400):
        out = guard.tick(Command(np.array([direction * 100.0]), tick * PERIOD_S, tick), now_s=tick * PERIOD_S)
        track.append(float(out.action[0]))
    rate = np.diff(track) / PERIOD_S
    acceleration = np.diff(rate) / PERIOD_S
    assert np.abs(rate).max() <= 3.0 + 1e-9
    assert np.abs(acceleration).max() <= 4.0 * (1 + 1e-6)
    assert track[-1] == pytest.approx(direction, abs=1e-3)


def test_effort_limit_bounds_the_torque_of_the_position_loop() -> None:
    bounds = SafetyLimits(stiffness=(50.0, 80.0), damping=(1.0, 2.0), max_effort=(5.0, 4.0))
    guard = SafetyFilter(bounds, PERIOD_S, np.zeros(2))
    rng = np.random.default_rng(1)
    for tick in range(200):
        position, rate = rng.normal(size=2), rng.normal(size=2)
        measured = Measured(0.0, position=position, rate=rate)
        out = guard.tick(Command(rng.normal(size=2) * 10, 0.0, tick), now_s=0.0, measured=measured)
        torque = np.array([50.0, 80.0]) * (out.action - position) - np.array([1.0, 2.0]) * rate
        assert (np.abs(torque) <= np.array([5.0, 4.0]) * (1 + 1e-9)).all()


def test_a_stop_stays_until_reset() -> None:
    guard = filter_at()
    guard.stop("operator")
    guard.stop("second")
    out = guard.tick(Command(np.full(3, 0.3), 0.0), now_s=0.0, measured=Measured(0.0))
    assert out.interventions[0].reason == "latched_stop" and out.interventions[0].detail == "operator"
    assert np.array_equal(out.action, [0.0, 0.0, 0.25])
    guard.reset(np.array([0.0, 0.0, 0.25]))
    assert guard.latched is None
    moved = guard.tick(Command(np.array([0.001, 0.0, 0.25]), 0.0), now_s=0.0, measured=Measured(0.0))
    assert moved.action[0] == 0.001


def test_a_start_outside_the_limits_moves_back_in_steps() -> None:
    guard = filter_at((2.0, 0.0, 0.25), max_acceleration=())
    previous = 2.0
    for tick in range(60):
        now_s = tick * PERIOD_S
        out = guard.tick(Command(np.array([5.0, 0.0, 0.25]), now_s, tick), now_s=now_s, measured=Measured(now_s))
        assert previous - 0.02 - 1e-12 <= out.action[0] <= previous
        previous = out.action[0]
    assert previous == pytest.approx(1.0)


def test_bad_construction_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not match the action"):
        SafetyFilter(SafetyLimits(low=(0.0,)), PERIOD_S, np.zeros(2))
    with pytest.raises(ConfigError, match="positive period"):
        SafetyFilter(SafetyLimits(), 0.0, np.zeros(2))
    with pytest.raises(NonFiniteError):
        SafetyFilter(SafetyLimits(), PERIOD_S, np.array([np.nan]))
    with pytest.raises(ShapeError):
        filter_at().reset(np.zeros(5))
    with pytest.raises(ConfigError, match="stiffness"):
        SafetyFilter(SafetyLimits(max_effort=(1.0,)), PERIOD_S, np.zeros(1))
