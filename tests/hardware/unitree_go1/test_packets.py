"""Packets of the Go1 against those that Unitree's own library makes, and against published offsets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.unitree_go1 import packets
from robot_stack.hardware.unitree_go1.packets import LegCommand, LegState

LIBRARY_MOTORS = """
0a6766e6be00000040a2ff04000100 0a3433b3be0000c03fab01a4000500 0a000080be0000803f08fd44010a00
0a9a9919be0000003f4504e4010f00 0ad0cc4cbd000000006ffa84021400 0ad0cc4c3d000000bfde0624031900
0a9899193e000080bfd5f7c4031d00 0a0000803e0000c0bf780964042200 0a3433b33e000000c03bf504052700
0a6666e63e000020c0110ca4052c00 0acdcc0c3f000040c0a2f244063100 0a6766263f000060c0ab0ee4063500
"""
"""What unitree_legged_sdk 3.8.6 put on the network for the twelve motors of :func:`_command`; recorded on loopback."""

LIBRARY_IDLE = "0ab9d2ff4e00007a46" + 18 * "00"
"""Likewise for motors it was not told anything of."""

LIBRARY_CRC, LIBRARY_IDLE_CRC = "8b5e2675", "e2f07f34"
"""Of that packet, and of the one it begins with."""


def _command() -> LegCommand:
    i, single = np.arange(12), np.float32
    position = single(0.1) * (i + 1).astype(single) - single(0.55)
    torque = np.where(i % 2, 1, -1) * (single(1.3) * i.astype(single) + single(0.37))
    stiffness = single(5.0) * i.astype(single) + single(0.13)
    damping = single(0.3) * i.astype(single) + single(0.07)
    return LegCommand(position, 2.0 - 0.5 * i, torque, stiffness, damping)


def _packet(motors: str, crc: str) -> bytes:
    head = bytes.fromhex("feefff") + bytes(19)
    return head + bytes.fromhex(motors) + bytes(48) + bytes.fromhex(crc)


def test_commands_are_those_of_unitrees_library() -> None:
    motors = "".join(motor + 24 * "0" for motor in LIBRARY_MOTORS.split()) + 8 * LIBRARY_IDLE
    assert packets.encode_command(_command()) == _packet(motors, LIBRARY_CRC)
    assert packets.encode_command(packets.limp()) == _packet(20 * LIBRARY_IDLE, LIBRARY_IDLE_CRC)


def test_published_offsets() -> None:
    """Of the analysis of a capture: motors' start and stride, their fields, tick, checksums."""
    command, state = packets.COMMAND, packets.STATE
    assert (command.itemsize, state.itemsize) == (614, 807)
    assert command.fields and state.fields
    motor = command["motor"].base
    assert motor.fields
    assert (command.fields["motor"][1], motor.itemsize) == (22, 27)
    assert [motor.fields[name][1] for name in ("mode", "q", "dq", "tau", "kp", "kd")] == [0, 1, 5, 9, 11, 13]
    motor = state["motor"].base
    assert motor.fields
    assert (state.fields["motor"][1], motor.itemsize) == (75, 32)
    assert [motor.fields[name][1] for name in ("mode", "q", "dq", "tau", "temperature")] == [0, 1, 5, 11, 23]
    assert [state.fields[name][1] for name in ("rpy", "tick", "crc")] == [62, 755, 803]
    assert command.fields["crc"][1] == 610


def test_published_gains() -> None:
    """The captured robot stood with kp 1 and kd 0.25 on its hips: 32 and 4 on the wire."""
    numbers = np.full(12, 1.0)
    raw = packets.encode_command(LegCommand(numbers, numbers, numbers, numbers, 0.25 * numbers))
    assert raw[22 + 9 : 22 + 15] == (256).to_bytes(2, "little") + (32).to_bytes(2, "little") + b"\x04\x00"


@pytest.mark.parametrize("masked", [False, True])
def test_commands_are_read_back(masked: bool) -> None:
    told = _command()
    read = packets.decode_command(packets.encode_command(told, masked=masked))
    np.testing.assert_array_equal(read.position, told.position)
    for name, unit in (("torque", 1 / 256), ("stiffness", 1 / 32), ("damping", 1 / 16)):
        error = np.abs(getattr(told, name)) - np.abs(getattr(read, name))
        assert (error >= -1e-6).all() and (error < unit).all()


def test_the_two_checksums_differ() -> None:
    plain, masked = (packets.encode_command(packets.limp(), masked=masked) for masked in (False, True))
    assert plain[:-4] == masked[:-4]
    crc = int.from_bytes(plain[-4:], "little") ^ 0xEDCAB9DE
    assert masked[-4:] == crc.to_bytes(4, "little")[1:] + crc.to_bytes(4, "little")[:1]


def test_what_does_not_fit_is_clipped_and_keeps_its_sign() -> None:
    much = np.full(12, 1e6)
    read = packets.decode_command(packets.encode_command(LegCommand(much, much, -much, much, -much)))
    assert read.torque.max() == -128.0
    assert read.stiffness.min() == 65535 / 32
    assert read.damping.max() == 0.0


def _state() -> LegState:
    i = np.arange(12)
    return LegState(
        tick=123456,
        position=np.float32(0.1) * i - 0.5,
        velocity=1.0 - 0.25 * i,
        torque=(i - 6) * 1.5,
        temperature=30 + i,
        quaternion=np.array((0.5, 0.5, -0.5, 0.5)),
        gyroscope=np.array((0.125, -0.25, 0.5)),
        foot=np.array((10.0, -20.0, 300.0, 4000.0)),
        battery_percent=77,
        battery_current=-1234,
        cells=np.full(10, 3.808),
        remote=bytes(range(40)),
    )


@pytest.mark.parametrize("trailer", [0, 13])
def test_states_are_read_back(trailer: int) -> None:
    told = _state()
    raw = packets.encode_state(told) + bytes(trailer)
    read = packets.decode_state(raw)
    assert (read.tick, read.battery_percent, read.battery_current, read.remote) == (123456, 77, -1234, bytes(range(40)))
    assert packets.tick_of(raw) == 123456
    for name in ("velocity", "torque", "temperature", "quaternion", "gyroscope", "foot", "mode"):
        np.testing.assert_array_equal(getattr(read, name), getattr(told, name), err_msg=name)
    np.testing.assert_allclose(read.cells, told.cells)
    np.testing.assert_allclose(read.position, told.position, atol=1e-7)


@given(st.integers(0, 8 * 807 - 1))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_is_found_wherever_the_checksum_looks(bit: int) -> None:
    raw = bytearray(packets.encode_state(_state()))
    raw[bit // 8] ^= 1 << bit % 8
    if 800 <= bit // 8 < 803:  # Unitree's checksum covers whole words only
        packets.decode_state(bytes(raw))
        return
    with pytest.raises(BusError):
        packets.decode_state(bytes(raw))


@given(st.binary(max_size=900), st.sampled_from((614, 807, 820)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused(data: bytes, length: int) -> None:
    for raw in (data, (bytes.fromhex("feefff") + data + bytes(length))[:length]):
        with pytest.raises(BusError):
            packets.decode_state(raw)
        with pytest.raises(BusError):
            packets.decode_command(raw)
