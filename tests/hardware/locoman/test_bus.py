"""LocoMan's bus and its emulated electronics, over UDP and a pseudo-terminal."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.dynamixel.control_table import GOAL_CURRENT, OPERATING_MODE, POSITION_P, TORQUE_ENABLE
from robot_stack.hardware.locoman import joint_map
from robot_stack.hardware.locoman.config import LocoManConfig, ServosConfig, read_config
from robot_stack.hardware.locoman.power import PowerGuard
from robot_stack.hardware.unitree_go1.packets import NO_POSITION
from tests.hardware.locoman.body import GAINS, JOINTS, STAND, config, hold, linked, until


def test_engaging_moves_nothing(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        state = until(bus, lambda state: True)
        np.testing.assert_allclose(state.joint_position, STAND, atol=2e-3)
        np.testing.assert_allclose(body.position, STAND, atol=2e-3)
        assert not body.told.stiffness.any() and not body.told.damping.any()
        servos = body.emulated.line.servos.values()
        assert [servo.get(OPERATING_MODE) for servo in servos] == [5] * 8
        assert [servo.get(POSITION_P) for servo in servos] == [1024, 768, 768, 768] * 2
        assert all(servo.get(TORQUE_ENABLE) for servo in servos)
        assert [servo.get(GOAL_CURRENT) for servo in servos] == [150] * 8
        assert state.faults == () and state.foot_force.tolist() == [30.0] * 4
        assert state.readings["battery_percent"] == 100.0


def test_a_robot_that_is_not_engaged_is_listened_to(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.open()
        state = until(bus, lambda state: True)
        np.testing.assert_allclose(state.joint_position, STAND, atol=2e-3)
        later = until(bus, lambda s: s.sequence > state.sequence + 50)
        assert later.faults == () and later.readings["servo_reads_lost"] == 0.0
        assert not body.told.stiffness.any() and not body.told.damping.any()
        assert not any(servo.goal.torque for servo in body.emulated.line.servos.values())
        with pytest.raises(BusError, match="not engaged"):
            bus.write(hold(STAND))
        body.emulated.go1.faults.foreign_torque = 6.0
        with pytest.raises(BusError, match="somebody else drives"):
            until(bus, lambda state: False)
        heard = body.emulated.go1.heard.commands
        time.sleep(0.2)
        assert body.emulated.go1.heard.commands == heard  # it is left alone then


def test_joints_go_where_they_are_told(tmp_path: Path) -> None:
    goal = STAND + 0.2 * np.sin(np.arange(JOINTS))
    goal[[19, 21]] = goal[[18, 20]]
    calibrated = config(tmp_path, direction=(1, -1) * 4, zero_ticks=tuple(range(1000, 1800, 100)))
    with linked(calibrated) as (bus, _body):
        bus.engage()
        state = until(bus, lambda s: bool(np.abs(s.joint_position - goal).max() < 4e-3), hold(goal))
        assert state.faults == ()


def test_torque_and_speed_go_into_a_servos_goal(tmp_path: Path) -> None:
    joint = joint_map.JOINT_NAMES.index("2_FL_joint_2")
    zero, effort = np.zeros(JOINTS), np.zeros(JOINTS)
    effort[joint] = 0.3
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        aside = 0.3 / (768 * 0.00535)

        def there(state) -> bool:
            return abs(state.joint_position[joint] - STAND[joint] - aside) < 4e-3

        until(bus, there, JointCommand(STAND, zero, effort, *GAINS))
        assert not body.told.torque.any()


def test_without_stiffness_legs_are_limp_and_servos_hold_with_little_current(tmp_path: Path) -> None:
    zero, goal = np.zeros(JOINTS), STAND.copy()
    goal[joint_map.ARM_JOINTS] += 0.1
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        until(bus, lambda s: bool(np.abs(s.joint_position - goal).max() < 4e-3), hold(goal))
        servos = body.emulated.line.servos
        assert [servo.get(GOAL_CURRENT) for servo in servos.values()] == [900] * 8
        damp = JointCommand(zero, zero, zero, zero, np.full(JOINTS, 3.0))
        until(bus, lambda s: servos[8].get(GOAL_CURRENT) == 150, damp)
        state = until(bus, lambda s: body.told.position[0] == np.float32(NO_POSITION), damp)
        assert np.abs(state.joint_position[joint_map.ARM_JOINTS] - goal[joint_map.ARM_JOINTS]).max() < 4e-3
        np.testing.assert_array_equal(body.told.damping, np.full(12, 3.0))
        np.testing.assert_array_equal(body.told.velocity, np.zeros(12))


def test_a_lost_manipulator_is_a_fault_and_the_rest_goes_on(tmp_path: Path) -> None:
    goal = STAND.copy()
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        until(bus, lambda s: s.faults == (), hold(goal))
        body.emulated.line.faults.silent = {5, 6, 7, 8}
        state = until(bus, lambda s: bool(s.faults), hold(goal))
        assert state.faults == ("the left manipulator's servos [5, 6, 7, 8] do not answer any more",)
        goal[[0, 3]] += 0.1  # a leg's joint, the right manipulator's
        until(bus, lambda s: bool(np.abs(s.joint_position - goal)[[0, 3]].max() < 4e-3), hold(goal))
        body.emulated.line.faults.silent = set()
        time.sleep(0.3)
        state = until(bus, lambda s: True, hold(goal))
        assert len(state.faults) == 1  # it stays: a servo that lost its power forgot what it was set to
        bus.engage()
        until(bus, lambda s: s.faults == (), hold(goal))


def test_a_servos_overload_is_named(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        with body.emulated.line.lock:
            body.emulated.line.servos[2].overload()
        state = until(bus, lambda s: bool(s.faults), hold(STAND))
        assert state.faults == ("servo 2 (right manipulator): overload",)
        bus.engage()  # reboots it
        assert until(bus, lambda s: True, hold(STAND)).faults == ()


def test_a_pulled_serial_adapter_leaves_the_legs(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        body.emulated.line.vanish()
        state = until(bus, lambda s: bool(s.faults), hold(STAND))
        assert "serial port is gone" in state.faults[0]
        before = state.sequence
        assert until(bus, lambda s: s.sequence > before, hold(STAND)).joint_position[1] == pytest.approx(0.9, abs=1e-3)


def test_a_silent_go1_and_a_silent_servo_are_not_engaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_stack.hardware.locoman.bus.HEARD_WITHIN_S", 0.2)
    with linked(config(tmp_path)) as (bus, body):
        body.emulated.go1.faults.silent = True
        with pytest.raises(BusError, match="does not answer"):
            bus.engage()
        body.emulated.go1.faults.silent = False
        body.emulated.line.faults.silent = {3}
        bus._line.timeout_s = 0.05  # type: ignore[union-attr]
        with pytest.raises(BusError, match=r"no answer from ids \[3\]"):
            bus.engage()
        with pytest.raises(BusError, match="not engaged"):
            bus.write(hold(STAND))


def test_legs_that_somebody_else_drives_are_left_alone(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        body.emulated.go1.faults.foreign_torque = 6.0
        with pytest.raises(BusError, match=r"somebody else drives[\s\S]*6.0 N·m[\s\S]*L2\+A"):
            bus.engage()


def test_motors_that_do_not_obey_are_not_engaged(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        body.emulated.go1.faults.other_mode = True
        with pytest.raises(BusError, match="motors do not obey"):
            bus.engage()


def test_a_hot_motor_is_a_fault(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        body.emulated.go1.faults.overheated = (4,)
        assert until(bus, lambda s: bool(s.faults), hold(STAND)).faults == ("overheated motors: FL thigh 30 °C",)


def test_too_much_power_lets_the_legs_give_in(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings = replace(settings, legs=replace(settings.legs, power_level=1))
    with linked(settings) as (bus, body):
        bus.engage()
        bus._power.look(np.full(12, 30.0), np.full(12, 30.0))
        state = until(bus, lambda s: bool(s.faults), hold(STAND))
        assert "limit 120 W" in state.faults[0]
        until(bus, lambda s: bool((body.told.damping == 4.0).all()), hold(STAND))
        assert not body.told.stiffness.any()
        bus.engage()
        until(bus, lambda s: s.faults == () and bool(body.told.stiffness.all()), hold(STAND))


def test_power_counts_over_time() -> None:
    guard = PowerGuard(10, 0.002)
    guard.look(np.full(12, 20.0), np.full(12, 20.0))  # one impact of 4.8 kW
    assert not guard.tripped
    for _ in range(100):
        guard.look(np.full(12, 10.0), np.full(12, 8.0))
    assert not guard.tripped and guard.power_w == pytest.approx(960.0, rel=0.05)
    for _ in range(100):
        guard.look(np.full(12, 10.0), np.full(12, -12.0))
    assert "limit 1200 W" in guard.tripped


def test_commands_that_are_not_numbers_are_not_sent(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        bad = STAND.copy()
        bad[7] = np.nan
        with pytest.raises(BusError, match="not finite"):
            bus.write(hold(bad))
        assert body.emulated.go1.heard.refused == 0


def test_release_lets_the_legs_give_in_and_can_be_engaged_again(tmp_path: Path) -> None:
    with linked(config(tmp_path)) as (bus, body):
        bus.engage()
        until(bus, lambda s: True, hold(STAND))
        bus.release()
        end = time.monotonic() + 5.0
        while body.told.stiffness.any() and time.monotonic() < end:
            time.sleep(0.01)
        assert (body.told.damping == 4.0).all()
        assert bus.read() is None
        bus.engage()
        until(bus, lambda s: True, hold(STAND))


def test_a_servos_goal_moves_no_faster_than_allowed(tmp_path: Path) -> None:
    goal = STAND.copy()
    goal[5] += 2.0
    with linked(config(tmp_path, speed_limit=0.5, rate_hz=100.0)) as (bus, body):
        bus.engage()
        servos = bus._servos
        assert servos is not None
        rounds = servos.rounds
        until(bus, lambda s: servos.rounds >= rounds + 40, hold(goal))
        moved = abs(body.emulated.line.servos[3].goal.position - 2048) * 2 * np.pi / 4096
        assert 0.1 < moved <= 0.5 * 0.01 * (servos.rounds - rounds + 2)


def test_configurations(tmp_path: Path) -> None:
    assert read_config("") == LocoManConfig()
    file = tmp_path / "locoman.json"
    file.write_text('{"legs": {"address": {"local": "192.168.123.162"}, "power_level": 3}}')
    assert read_config(file).legs.address.local == "192.168.123.162"
    file.write_text('{"leg": {}}')
    with pytest.raises(UnknownNameError):
        read_config(file)
    file.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(file)
    with pytest.raises(ConfigError, match="direction"):
        ServosConfig(direction=(2,) * 8)
    with pytest.raises(ConfigError, match="200 to 1000"):
        LocoManConfig(servo_hz=50.0)
