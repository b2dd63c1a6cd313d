import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.hardware.unitree_g1.crc import crc32_bit_by_bit, crc32_words
from robot_stack.hardware.unitree_g1.joints import ARMS, JOINT_NAMES, JOINTS, MACHINES, NOT_IN_23, WAIST
from robot_stack.hardware.unitree_g1.layout import (
    BATTERY,
    COMMAND,
    HEADER,
    IMU,
    LOW_CMD,
    LOW_STATE,
    STATE,
    Layout,
    MalformedMessageError,
    checksum,
)
from robot_stack.hardware.unitree_g1.remote import BUTTONS, Remote, read_remote, write_remote
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "assets" / "unitree_g1"


def reference_command() -> np.ndarray:
    record = np.zeros((), LOW_CMD)
    record["mode_machine"] = 5
    motors = record["motor_cmd"]
    motors["mode"], motors["q"], motors["kp"], motors["kd"] = 1, 0.1, 60.0, 1.0
    return record


def test_sizes_are_those_of_the_c_structures_and_of_cdr() -> None:
    assert (LOW_CMD.itemsize, LOW_STATE.itemsize) == (1004, 2092)
    assert (COMMAND.wire_size, STATE.wire_size) == (4 + 1000, 4 + 2088)
    assert (BATTERY.wire_size, IMU.wire_size) == (4 + 164, 4 + 54)


def test_a_command_has_the_checksum_that_the_robots_own_sdk_gives_it() -> None:
    assert checksum(reference_command()) == 0x52AE0BC5
    assert crc32_bit_by_bit(reference_command().tobytes()[:-4]) == 0x52AE0BC5


def test_the_c_layout_is_that_of_a_compiler() -> None:
    record = reference_command()
    motor = [1, np.float32(0.1), 0.0, 0.0, 60.0, 1.0, 0]
    assert record.tobytes() == struct.pack("<2B2x" + "B3x5fI" * 35 + "5I", 0, 5, *motor * 35, *[0] * 5)


def test_the_wire_differs_from_the_c_layout_only_where_the_first_motor_begins() -> None:
    motor = [1, np.float32(0.1), 0.0, 0.0, 60.0, 1.0, 0]
    packed = struct.pack("<2B" + "Bx5fI" + "B3x5fI" * 34 + "5I", 0, 5, *motor * 35, *[0] * 5)
    assert COMMAND.write(reference_command()) == HEADER + packed


def test_places_of_a_state_on_the_wire() -> None:
    record = np.zeros((), LOW_STATE)
    record["tick"], record["imu_state"]["temperature"] = 0x01020304, -2
    record["motor_state"]["mode"] = np.arange(1, 36)
    record["motor_state"]["q"][0] = 1.5
    record["wireless_remote"][:2] = 7, 8
    wire = STATE.write(record)[4:]
    assert wire[12:16] == bytes((4, 3, 2, 1))
    assert struct.unpack_from("<h", wire, 68) == (-2,)
    assert wire[70] == 1 and struct.unpack_from("<f", wire, 72) == (1.5,)
    assert wire[68 + 56] == 2
    assert wire[2028:2030] == bytes((7, 8))


@pytest.mark.parametrize("layout", [COMMAND, STATE, BATTERY, IMU], ids=lambda layout: layout.name)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_message_survives_the_wire_and_padding_never_does(layout: Layout, seed: int) -> None:
    wire = np.random.Generator(np.random.PCG64(seed)).bytes(layout.wire_size)
    record = layout.read(HEADER + wire[4:])
    again = layout.write(record)
    assert layout.read(again).tobytes() == record.tobytes()
    clean = np.zeros((), layout.kind)
    clean[...] = record
    assert clean.tobytes() == record.tobytes(), "padding of the sender got into the structure"


@given(data=st.binary(max_size=2200))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    for layout in (COMMAND, STATE):
        try:
            record = layout.read(data)
        except MalformedMessageError:
            continue
        assert layout.write(record)[4:8] == data[4:8]


def test_big_endian_and_cut_messages_are_refused() -> None:
    wire = STATE.write(np.zeros((), LOW_STATE))
    for wrong in (b"\x00\x00" + wire[2:], wire[:-1], wire + bytes(4), b""):
        with pytest.raises(MalformedMessageError):
            STATE.read(wrong)


@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_the_fast_checksum_is_the_slow_one(words: list[int]) -> None:
    data = np.array(words, dtype="<u4").tobytes()
    assert crc32_words(data) == crc32_bit_by_bit(data)


@given(where=st.integers(0, 1003), bit=st.integers(0, 7))
def test_every_flipped_bit_of_a_command_is_seen(where: int, bit: int) -> None:
    record = reference_command()
    record["crc"] = checksum(record)
    bad = bytearray(record.tobytes())
    bad[where] ^= 1 << bit
    changed = np.frombuffer(bytes(bad), LOW_CMD)[0]
    assert checksum(changed) != changed["crc"]


def test_joints_are_those_of_the_simulated_robot_in_the_same_order() -> None:
    assert UNITREE_G1.driven_names == JOINT_NAMES
    robot = compile_robot(UNITREE_G1)
    # The documentation rounds; the waist's 0.52 is the description's, too.
    np.testing.assert_allclose([joint.low for joint in JOINTS], robot.low, atol=2e-3)
    np.testing.assert_allclose([joint.high for joint in JOINTS], robot.high, atol=2e-3)


@pytest.mark.skipif(not SHARED.is_dir(), reason="Unitree's own description is not beside the checkout")
def test_joints_are_those_of_unitrees_description_in_the_same_order() -> None:
    found = ElementTree.parse(SHARED / "g1_29dof_rev_1_0.urdf").getroot()
    joints = {j.get("name"): j.find("limit") for j in found.iter("joint") if j.get("type") == "revolute"}
    assert tuple(joints) == JOINT_NAMES
    for joint in JOINTS:
        limit = joints[joint.name]
        assert limit is not None
        assert (float(limit.get("lower", "")), float(limit.get("upper", ""))) == pytest.approx(
            (joint.low, joint.high), abs=2e-3
        )


def test_groups_of_joints() -> None:
    assert JOINT_NAMES[WAIST] == ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
    assert len(JOINT_NAMES[ARMS]) == 14 and JOINT_NAMES[ARMS.start].startswith("left_shoulder")
    assert [JOINT_NAMES[i] for i in NOT_IN_23] == [
        "waist_roll_joint",
        "waist_pitch_joint",
        "left_wrist_pitch_joint",
        "left_wrist_yaw_joint",
        "right_wrist_pitch_joint",
        "right_wrist_yaw_joint",
    ]
    assert MACHINES[5].missing == () and MACHINES[4].missing == NOT_IN_23


@given(buttons=st.sets(st.sampled_from(BUTTONS)), sticks=st.tuples(*[st.floats(-1, 1, width=32)] * 4))
def test_the_remote_survives_its_bytes(buttons: set[str], sticks: tuple[float, float, float, float]) -> None:
    remote = Remote(frozenset(buttons), sticks)
    assert read_remote(write_remote(remote)) == remote


def test_places_of_the_remotes_keys_and_sticks() -> None:
    data = bytearray(40)
    data[2], data[3] = 0b0000_0100, 0b0000_0001
    struct.pack_into("<f", data, 4, 0.25)
    struct.pack_into("<f", data, 20, float("nan"))
    assert read_remote(bytes(data)) == Remote(frozenset({"start", "A"}), (0.25, 0.0, 0.0, 0.0))
