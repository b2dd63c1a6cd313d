"""Servos over a pseudo-terminal: questions, answers, and everything that goes wrong on a line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.dynamixel.control_table import (
    CURRENT_BASED_POSITION,
    GOAL_CURRENT,
    GOAL_POSITION,
    OPERATING_MODE,
    POSITION_P,
    PRESENT_POSITION,
    TORQUE_ENABLE,
    XC330_T288,
)
from robot_stack.hardware.dynamixel.emulated_servo import EmulatedServo
from robot_stack.hardware.dynamixel.emulator import EmulatedLine
from robot_stack.hardware.dynamixel.serial_port import SerialPort
from robot_stack.hardware.dynamixel.servo_line import ServoLine

IDS = (1, 2, 3, 4)
GENEROUS_S = 2.0
"""For answers that come; a busy machine may take long [s]."""

SHORT_S = 0.1
"""For answers that never come [s]."""


@pytest.fixture
def emulated() -> Iterator[EmulatedLine]:
    line = EmulatedLine(EmulatedServo(number, 2000 + number) for number in IDS)
    line.start()
    yield line
    line.close()


@pytest.fixture
def line(emulated: EmulatedLine) -> Iterator[ServoLine]:
    made = ServoLine(SerialPort(emulated.path), GENEROUS_S)
    yield made
    made.close()


def test_one_servo_is_read_and_written(line: ServoLine) -> None:
    line.require(IDS, XC330_T288)
    assert line.read(3, PRESENT_POSITION) == 2003
    line.write(3, OPERATING_MODE, CURRENT_BASED_POSITION)
    line.write(3, POSITION_P, 1024)
    assert (line.read(3, OPERATING_MODE), line.read(3, POSITION_P)) == (5, 1024)


@pytest.mark.parametrize("fast", [False, True])
def test_all_are_read_at_once(line: ServoLine, emulated: EmulatedLine, fast: bool) -> None:
    with emulated.lock:
        emulated.servos[2].place(-70000, -12, -345)
    found = line.read_present(IDS, fast=fast)
    assert list(found) == list(IDS)
    assert (found[2].position, found[2].velocity, found[2].current) == (-70000, -12, -345)
    assert not any(present.alert for present in found.values())
    assert line.unanswered == line.bad_crc == 0


def test_all_are_written_at_once_and_move(line: ServoLine, emulated: EmulatedLine) -> None:
    line.write_all(TORQUE_ENABLE, dict.fromkeys(IDS, 1))
    line.write_all(GOAL_POSITION, {1: -5, 2: 1900, 3: 2100, 4: 2004})
    line.write_all(GOAL_CURRENT, dict.fromkeys(IDS, 300))
    line.ping(1)  # comes after them on the line
    with emulated.lock:
        goals = [emulated.servos[number].goal for number in IDS]
        for _ in range(2000):
            for servo in emulated.servos.values():
                servo.move(0.01)
    assert [(goal.torque, goal.position, goal.current) for goal in goals] == [
        (True, -5, 300),
        (True, 1900, 300),
        (True, 2100, 300),
        (True, 2004, 300),
    ]
    assert [present.position for present in line.read_present(IDS).values()] == [-5, 1900, 2100, 2004]


def test_refusals_say_why(line: ServoLine) -> None:
    line.write(1, TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match="cannot be written"):
        line.write(1, OPERATING_MODE, 3)
    with pytest.raises(BusError, match="beyond a limit"):
        line.write(1, GOAL_CURRENT, 2000)
    with pytest.raises(BusError, match="cannot be written"):
        line.write(1, PRESENT_POSITION, 3)


def test_a_missing_servo_is_named(line: ServoLine, emulated: EmulatedLine) -> None:
    line.timeout_s = SHORT_S
    emulated.faults.silent = {2}
    with pytest.raises(BusError, match=r"no answer from ids \[2\]"):
        line.require(IDS, XC330_T288)
    with pytest.raises(BusError, match="servo 2 does not answer"):
        line.read(2, PRESENT_POSITION)
    assert list(line.read_present(IDS)) == [1]  # those behind it wait for it in vain
    emulated.faults.chained = False
    assert list(line.read_present(IDS)) == [1, 3, 4]
    assert line.read_present(IDS, fast=True) == {}
    emulated.faults.silent = set()
    line.timeout_s = GENEROUS_S
    assert list(line.read_present(IDS, fast=True)) == list(IDS)


def test_another_model_is_refused(line: ServoLine) -> None:
    with pytest.raises(BusError, match="another model"):
        line.require(IDS, 1020)


def test_overload_is_told_and_cleared_by_a_reboot(line: ServoLine, emulated: EmulatedLine) -> None:
    line.write(4, TORQUE_ENABLE, 1)
    with emulated.lock:
        emulated.servos[4].overload()
    assert [servo for servo, present in line.read_present(IDS).items() if present.alert] == [4]
    assert line.errors_of(4) == ("overload",)
    assert line.read(4, TORQUE_ENABLE) == 0
    with pytest.raises(BusError, match="failed to carry it out"):
        line.write(4, TORQUE_ENABLE, 1)
    line.reboot(4)
    assert line.errors_of(4) == ()


@pytest.mark.parametrize("fault", ["wrong_crc", "halves"])
def test_a_damaged_answer_is_asked_for_again(line: ServoLine, emulated: EmulatedLine, fault: str) -> None:
    line.timeout_s = 0.3
    setattr(emulated.faults, fault, 1)
    assert line.read(1, PRESENT_POSITION) == 2001
    assert line.unanswered == 1
    setattr(emulated.faults, fault, 1)
    assert 1 not in line.read_present(IDS)


def test_noise_between_answers_does_no_harm(line: ServoLine, emulated: EmulatedLine) -> None:
    emulated.faults.noise = b"\xff\xff\xfd\x00\xff\x13"
    assert list(line.read_present(IDS)) == list(IDS)


def test_a_late_answer_is_not_taken_for_the_next(line: ServoLine, emulated: EmulatedLine) -> None:
    line.timeout_s = 0.05
    emulated.faults.latency_s = 0.1
    assert line.read_present((1,)) == {}
    emulated.faults.latency_s = 0.0
    time.sleep(0.2)
    line.timeout_s = GENEROUS_S
    assert line.read(1, POSITION_P) == 900


def test_a_silent_line_costs_no_more_than_its_time(line: ServoLine, emulated: EmulatedLine) -> None:
    line.timeout_s = SHORT_S
    emulated.faults.unplugged = True
    assert line.read_present(IDS) == {}
    assert line.unanswered == 1


def test_a_pulled_adapter_is_an_error(line: ServoLine, emulated: EmulatedLine) -> None:
    emulated.vanish()
    with pytest.raises(BusError, match="port is gone"):
        for _ in range(3):
            line.read_present(IDS)


def test_ports_that_cannot_be_opened(tmp_path: Path, emulated: EmulatedLine, line: ServoLine) -> None:
    with pytest.raises(BusError, match="no such serial port"):
        SerialPort(str(tmp_path / "ttyUSB9"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BusError, match="not a serial port"):
        SerialPort(str(tmp_path / "file"))
    with pytest.raises(BusError, match="no such serial speed"):
        SerialPort(emulated.path, 12345)
    with pytest.raises(BusError, match="another process"):
        SerialPort(emulated.path)
    assert line.ping(1)


def test_the_makers_sdk_understands_the_emulator(emulated: EmulatedLine) -> None:
    sdk = pytest.importorskip("dynamixel_sdk", reason="pip install dynamixel-sdk")
    port, handler = sdk.PortHandler(emulated.path), sdk.PacketHandler(2.0)
    assert port.openPort()
    try:
        assert port.setBaudRate(1000000)
        model, result, error = handler.ping(port, 2)
        assert (model, result, error) == (XC330_T288, sdk.COMM_SUCCESS, 0)
        reader = sdk.GroupSyncRead(port, handler, 126, 10)
        writer = sdk.GroupSyncWrite(port, handler, 116, 4)
        for number in IDS:
            assert reader.addParam(number)
            assert writer.addParam(number, list((1500 + number).to_bytes(4, "little")))
        assert writer.txPacket() == sdk.COMM_SUCCESS
        assert reader.txRxPacket() == sdk.COMM_SUCCESS
        assert [reader.getData(number, 132, 4) for number in IDS] == [2001, 2002, 2003, 2004]
        with emulated.lock:
            assert [emulated.servos[number].goal.position for number in IDS] == [1501, 1502, 1503, 1504]
    finally:
        port.closePort()
