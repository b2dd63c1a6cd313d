"""No value out of limits ever leaves the safety filter, and every intervention has its reason."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.safety import REASONS, Command, Filtered, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits
from tests.core.safety_adversary import run_adversary

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


def reasons_of(out: Filtered) -> list[str]:
    return [i.reason for i in out.interventions]


def test_nothing_out_of_limits_leaves_under_random_and_adversarial_ticks() -> None:
    seen = run_adversary(seed=0, episodes=200, ticks=250)
    assert seen == set(REASONS) - {"not_measured"}


@pytest.mark.slow
def test_nothing_out_of_limits_leaves_in_a_million_ticks() -> None:
    run_adversary(seed=1, episodes=4000, ticks=250)


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


def test_coming_to_rest_outside_the_limits_moves_nothing() -> None:
    guard = filter_at((2.0, 0.0, 0.25), needs_deadman=True)
    for tick in range(5):
        now_s = tick * PERIOD_S
        command = Command(np.zeros(3), now_s, tick)
        out = guard.tick(command, now_s=now_s, measured=Measured(now_s), deadman=False)
        assert np.array_equal(out.action, [2.0, 0.0, 0.25])
        assert reasons_of(out) == ["deadman"]


def test_coming_to_rest_brakes_within_the_acceleration_limit() -> None:
    bounds = SafetyLimits(low=(-9.0,), high=(9.0,), max_rate=(2.0,), max_acceleration=(10.0,), needs_deadman=True)
    guard = SafetyFilter(bounds, PERIOD_S, np.zeros(1))
    track = [0.0, 0.0]
    for tick in range(80):
        out = guard.tick(Command(np.array([9.0]), 0.0, tick), now_s=0.0, deadman=tick < 50)
        track.append(float(out.action[0]))
    acceleration = np.diff(track, 2) / PERIOD_S**2
    assert np.diff(track).max() == pytest.approx(2.0 * PERIOD_S)
    assert np.abs(acceleration).max() <= 10.0 * (1 + 1e-9)
    assert len(set(track[-18:])) == 1, "at rest after 2 / 10 s"


def test_a_blocked_robot_stops_the_command_at_once() -> None:
    bounds = SafetyLimits(max_rate=(2.0,), max_acceleration=(5.0,), stiffness=(100.0,), max_effort=(10.0,))
    guard = SafetyFilter(bounds, PERIOD_S, np.zeros(1))
    wall, efforts = 0.5, []
    for tick in range(100):
        position = np.minimum(guard.action, wall)
        out = guard.tick(Command(np.array([5.0]), 0.0, tick), now_s=0.0, measured=Measured(0.0, position))
        efforts.append(100.0 * (out.action[0] - position[0]))
    assert max(efforts) <= 10.0 * (1 + 1e-9)
    assert efforts[-1] == pytest.approx(10.0)
    assert "effort" in reasons_of(out)


def test_effort_beyond_a_position_limit_is_named_as_effort_and_the_position_limit_wins() -> None:
    bounds = SafetyLimits(low=(-1.0,), high=(1.0,), stiffness=(100.0,), max_effort=(10.0,))
    guard = SafetyFilter(bounds, PERIOD_S, np.zeros(1))
    out = guard.tick(Command(np.zeros(1), 0.0), now_s=0.0, measured=Measured(0.0, np.array([7.0])))
    assert out.action[0] == 1.0
    assert reasons_of(out) == ["effort"]


def test_every_limit_that_changed_something_is_named_with_its_number() -> None:
    guard = filter_at(max_acceleration=(0.5, 200.0, 50.0))
    out = guard.tick(Command(np.array([0.01, 9.0, 0.25]), 0.0), now_s=0.0, measured=Measured(0.0))
    assert reasons_of(out) == ["position", "acceleration", "step"]
    assert out.interventions[0].detail == "number 1: 9 to 2"
    assert out.interventions[2].detail.startswith("number 1:")
    slow = filter_at(max_acceleration=(), max_rate=(0.1, 0.1, 0.1))
    out = slow.tick(Command(np.array([0.01, 0.0, 0.25]), 0.0), now_s=0.0, measured=Measured(0.0))
    assert reasons_of(out) == ["rate"]
    assert out.interventions[0].detail == "number 0: 0.01 to 0.002"


def test_the_answer_belongs_to_the_caller() -> None:
    guard = filter_at()
    first = guard.tick(Command(np.array([0.001, 0.0, 0.25]), 0.0), now_s=0.0, measured=Measured(0.0)).action
    first[:] = 7.0
    guard.action[:] = 7.0
    assert np.array_equal(guard.action, [0.001, 0.0, 0.25])


def test_a_limit_on_what_is_not_measured_stops_the_robot() -> None:
    still = np.zeros(3)
    gains: dict[str, object] = {"stiffness": (1.0,) * 3, "max_effort": (1.0,) * 3}
    for changes in ({"max_tilt_rad": 0.5}, {"workspace_high": (1.0, 1.0, 1.0)}, gains):
        guard = filter_at((0.0, 0.0, 0.0), **changes)
        out = guard.tick(Command(still + 0.001, 0.0), now_s=0.0, measured=Measured(0.0))
        assert "not_measured" in reasons_of(out)
        assert np.array_equal(out.action, still)
        assert [i.reason for i in guard.rearm(Measured(0.0), 0.0)] == ["not_measured"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Measured(0.0, position=np.zeros(2)), "bad_observation"),
        (Measured(0.0, position=np.array([0.0, np.nan, 0.0])), "bad_observation"),
        (Measured(0.0, rate=np.array([0.0, np.inf, 0.0])), "bad_observation"),
        (Measured(0.0, points_world=np.zeros((0, 3))), "bad_observation"),
        (Measured(0.0, points_world=np.full((2, 3), np.nan)), "bad_observation"),
        (Measured(0.0, points_world=np.zeros(3)), "bad_observation"),
        (Measured(-0.2), "stale_observation"),
        (Measured(0.2), "stale_observation"),
        (Measured(float("nan")), "stale_observation"),
        (None, "stale_observation"),
    ],
)
def test_a_bad_or_stale_observation_latches(bad: Measured | None, reason: str) -> None:
    guard = filter_at()
    out = guard.tick(Command(np.full(3, 0.1), 0.0), now_s=0.0, measured=bad)
    assert reasons_of(out) == [reason, "latched_stop"]
    assert guard.latched == reason
    if bad is not None:
        assert [i.reason for i in guard.rearm(bad, 0.0)] == [reason]
        assert guard.latched == reason


@pytest.mark.parametrize("tilt_rad", [1.01, -1.01, np.nan, np.inf])
def test_a_robot_that_is_not_upright_is_stopped(tilt_rad: float) -> None:
    guard = filter_at(max_tilt_rad=1.0)
    measured = Measured(0.0, tilt_rad=tilt_rad)
    assert reasons_of(guard.tick(None, now_s=0.0, measured=measured)) == ["tilt", "latched_stop"]
    assert [i.reason for i in guard.rearm(measured, 0.0)] == ["tilt"]
    assert guard.rearm(Measured(0.0, tilt_rad=-0.99), 0.0) == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1e101, -1e200, 1.7e308])
def test_absurd_numbers_are_refused_before_they_can_overflow(number: float) -> None:
    guard = SafetyFilter(SafetyLimits(max_acceleration=(1.0, 1.0)), PERIOD_S, np.zeros(2))
    out = guard.tick(Command(np.array([0.0, number]), 0.0), now_s=0.0)
    assert reasons_of(out) == ["non_finite"] and out.interventions[0].detail == "numbers [1]"
    out = guard.tick(None, now_s=0.0, measured=Measured(0.0, position=np.array([number, 0.0])))
    assert reasons_of(out)[0] == "bad_observation"


def test_bad_construction_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not match the action"):
        SafetyFilter(SafetyLimits(low=(0.0,)), PERIOD_S, np.zeros(2))
    with pytest.raises(ConfigError, match="positive period"):
        SafetyFilter(SafetyLimits(), 0.0, np.zeros(2))
    with pytest.raises(NonFiniteError):
        SafetyFilter(SafetyLimits(), PERIOD_S, np.array([np.nan]))
    with pytest.raises(ShapeError):
        filter_at().reset(np.zeros(5))
    with pytest.raises(ConfigError, match="at least one number"):
        SafetyFilter(SafetyLimits(), PERIOD_S, np.zeros(0))
    with pytest.raises(NonFiniteError):
        SafetyFilter(SafetyLimits(), PERIOD_S, np.array([1e200]))
    with pytest.raises(ConfigError, match="stiffness"):
        SafetyFilter(SafetyLimits(max_effort=(1.0,)), PERIOD_S, np.zeros(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": (1.0, 0.0, 0.0), "high": (0.0, 1.0, 1.0)}, "above its upper"),
        ({"workspace_low": (0.0, 0.0, 1.0), "workspace_high": (1.0, 1.0, 0.0)}, "above its upper"),
        ({"workspace_low": (0.0, float("nan"), 1.0)}, "3 numbers"),
        ({"max_step": (-1.0, 0.0, 0.0)}, "negative"),
        ({"max_rate": (1.0, float("nan"), 1.0)}, "NaN"),
        ({"stiffness": (float("inf"), 1.0, 1.0)}, "infinite"),
        ({"max_tilt_rad": float("nan")}, "negative or NaN"),
        ({"command_timeout_s": -0.1}, "negative or NaN"),
    ],
)
def test_limits_without_a_meaning_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        limits(**changes).check_size(3)
