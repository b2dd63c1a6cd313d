"""States that cannot be believed: whatever comes over the wire, what is handed out are sound numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.hardware.unitree_g1.config import G1Config, Protection
from robot_stack.hardware.unitree_g1.layout import BATTERY, BMS_STATE, LOW_STATE, STATE, checksum
from robot_stack.hardware.unitree_g1.reader import StateReader


def state_bytes(tick: int = 1, **changes: Any) -> bytes:
    record = np.zeros((), LOW_STATE)
    record["tick"], record["mode_machine"] = tick, 5
    record["imu_state"]["quaternion"] = (1.0, 0.0, 0.0, 0.0)
    for name, value in changes.items():
        record["imu_state"][name] = value
    record["crc"] = checksum(record)
    return STATE.write(record)


def turned(roll: float, pitch: float, yaw: float) -> dict[str, Any]:
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a / 2), math.sin(a / 2)) for a in (roll, pitch, yaw))
    quaternion = (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )
    return {"quaternion": quaternion, "rpy": (roll, pitch, yaw)}


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.0, 1.0))
def test_random_states_with_right_checksums_never_hand_out_what_is_not_a_number(seed: int, share: float) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    reader = StateReader(G1Config())
    for tick in range(1, 6):
        raw = np.frombuffer(STATE.read(state_bytes(tick)).tobytes(), np.uint8).copy()
        spoilt = rng.random(raw.size) < share
        raw[spoilt] = rng.integers(0, 256, int(spoilt.sum()), dtype=np.uint8)
        record = STATE.read(STATE.write(raw.view(LOW_STATE)[0]))
        record["tick"] = tick
        record["crc"] = checksum(record)
        with np.errstate(all="ignore"):
            state = reader.take(STATE.write(record), 0.002 * tick)
        if state is None:
            assert reader.dropped["unusable"] == tick, "nothing usable came yet"
            continue
        for values in (state.joint_position, state.joint_velocity, state.joint_effort, state.w_base, state.a_base):
            assert values is not None and np.isfinite(values).all()
        assert state.q_world_base is not None and abs(np.linalg.norm(state.q_world_base) - 1.0) < 1e-6


@given(data=st.binary(max_size=2200))
def test_bytes_that_are_no_state_are_dropped_and_counted(data: bytes) -> None:
    reader = StateReader(G1Config())
    assert reader.take(data, 0.0) is None
    assert sum(reader.dropped.values()) == 1 and reader.machine is None
    reader.battery(data)


@given(roll=st.floats(-3.0, 3.0), pitch=st.floats(-1.5, 1.5), yaw=st.floats(-3.1, 3.1))
def test_tilt_is_the_angle_between_up_and_up(roll: float, pitch: float, yaw: float) -> None:
    state = StateReader(G1Config()).take(state_bytes(**turned(roll, pitch, yaw)), 0.0)
    assert state is not None
    tilt = math.acos(max(-1.0, min(1.0, math.cos(roll) * math.cos(pitch))))
    if abs(tilt - 1.0) > 1e-3:
        assert any(words.startswith("tilted") for words in state.faults) == (tilt > 1.0)
    assert not any("apart" in words for words in state.faults)


@given(yaw=st.floats(-3.1, 3.1), roll=st.floats(-0.5, 0.5), pitch=st.floats(-0.5, 0.5))
def test_a_quaternion_with_w_at_its_end_is_told_by_the_angles(yaw: float, roll: float, pitch: float) -> None:
    said = turned(roll, pitch, yaw)
    assume(max(map(abs, said["rpy"])) > 1e-3)  # all zero: a simulator that says no angles
    right = np.array(said["quaternion"])
    said["quaternion"] = np.roll(right, -1)
    apart = 2.0 * math.acos(min(1.0, abs(float(right @ said["quaternion"]))))
    reader = StateReader(G1Config())
    first = reader.take(state_bytes(1), 0.0)
    state = reader.take(state_bytes(2, **said), 60.0)
    assert state is not None and first is not None
    assert (state.time_s == first.time_s) == any("apart" in words for words in state.faults)
    assert any("apart" in words for words in state.faults) or apart < 0.201


def test_ticks_wrap_and_repeated_or_late_ones_are_dropped() -> None:
    reader = StateReader(G1Config())
    for tick, taken in ((2**32 - 2, True), (2**32 - 1, True), (2**32 - 1, False), (1, True), (0, False), (2, True)):
        assert (reader.take(state_bytes(tick), 0.0) is not None) == taken
    assert reader.dropped == {"malformed": 0, "wrong_checksum": 0, "repeated": 1, "late": 1, "unusable": 0}


def test_speeds_and_turns_at_the_sdks_figures() -> None:
    for gyro, wrong in ((5.9, False), (6.1, True)):
        state = StateReader(G1Config()).take(state_bytes(gyroscope=(0.0, -gyro, 0.0)), 0.0)
        assert state is not None and bool(state.faults) == wrong
    assert (Protection().tilt_rad, Protection().joint_speed, Protection().lost_state_s) == (1.0, 10.0, 1.0)
    assert (Protection().winding_celsius, Protection().casing_celsius, Protection().battery_percent) == (120, 85, 20)


def test_a_battery_that_is_not_heard_of_is_a_warning_and_an_empty_one_a_fault() -> None:
    reader = StateReader(G1Config())
    state = reader.take(state_bytes(1), 0.0)
    assert state is not None and state.warnings == ("the battery is not heard of",)
    for tick, percent, wrong in ((2, 20, False), (3, 19, True)):
        record = np.zeros((), BMS_STATE)
        record["soc"] = percent
        reader.battery(BATTERY.write(record))
        state = reader.take(state_bytes(tick), 0.002 * tick)
        assert state is not None and bool(state.faults) == wrong and not state.warnings


def test_an_orientation_that_jumps_stays_a_fault() -> None:
    reader = StateReader(G1Config())
    reader.take(state_bytes(1, **turned(0.0, 0.0, 0.0)), 0.0)
    reader.take(state_bytes(2, **turned(0.0, 0.0, 1.0)), 0.002)
    state = reader.take(state_bytes(3, **turned(0.0, 0.0, 1.0)), 0.004)
    assert state is not None and state.faults == ("the orientation jumped by 1.00 rad between two states",)


WRONG: tuple[dict[str, Any], ...] = ({"domain": 233}, {"machines": ()}, {"servo_hz": 0.0}, {"damping_s": -1.0})


def test_figures_must_be_positive() -> None:
    for wrong in ({"tilt_rad": 0.0}, {"joint_speed": -1.0}, {"gyro_speed": math.nan}):
        with pytest.raises(ConfigError):
            Protection(**wrong)
    for bad in WRONG:
        with pytest.raises(ConfigError):
            G1Config(**bad)
