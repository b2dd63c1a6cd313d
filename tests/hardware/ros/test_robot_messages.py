"""Messages carry what records hold, and whatever comes in is turned into a record without raising."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")

from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_stack.core.fields import Field
from robot_stack.core.joint_bus import BusState
from robot_stack.hardware.loop_reports import LoopStatus
from robot_stack.hardware.ros import robot_messages as messages
from robot_stack.hardware.ros.qos import set_stamp, stamp_ns

FIELDS = (Field("base_position", 3, "m", ("x", "y", "z")), Field("object", 2, "m", ("object_x", "object_y")))


def test_stamps_are_kept_to_the_nanosecond() -> None:
    message = JointState()
    for time_ns in (0, 1, 999_999_999, 1_000_000_000, 123_456_789_012_345_678):
        set_stamp(message.header, time_ns)
        assert stamp_ns(message.header) == time_ns


def test_numbers_go_into_a_message_again_and_again() -> None:
    message = messages.numbers_message(("a", "b"))
    for vector in (np.array([1.0, np.pi]), np.array([-1.0, 1e-300])):
        messages.fill_numbers(message, vector, 5)
        assert list(message.name) == ["a", "b"] and np.array_equal(message.position, vector)
    joints = messages.numbers_message(("a", "b"))
    state = BusState(2.5, 1, np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0]))
    messages.fill_joints(joints, state)
    assert stamp_ns(joints.header) == 2_500_000_000
    assert list(joints.velocity) == [3.0, 4.0] and list(joints.effort) == [5.0, 6.0]


def test_a_chunk_comes_as_it_was_sent() -> None:
    message = JointTrajectory(joint_names=["a", "b"])
    set_stamp(message.header, 7_000_000_123)
    message.header.frame_id = "f" * 64
    points = [JointTrajectoryPoint(positions=[0.1 * k, -0.2 * k]) for k in range(3)]
    for k, point in enumerate(points):
        point.time_from_start.sec, point.time_from_start.nanosec = k, 500
    message.points = points
    chunk = messages.chunk_of(serialize_message(message), "policy")
    assert chunk.driver == "policy" and not chunk.trouble
    assert chunk.stamp_ns == 7_000_000_123 and chunk.names == ("a", "b") and chunk.fingerprint == "f" * 64
    assert np.allclose(chunk.actions, [[0, 0], [0.1, -0.2], [0.2, -0.4]])
    assert np.allclose(chunk.offsets_s, [5e-7, 1 + 5e-7, 2 + 5e-7])


@pytest.mark.parametrize("rows", [[], [[]], [[1.0], [1.0, 2.0]]])
def test_a_malformed_chunk_becomes_one_that_is_refused(rows: list[list[float]]) -> None:
    message = JointTrajectory(joint_names=["a"], points=[JointTrajectoryPoint(positions=row) for row in rows])
    chunk = messages.chunk_of(serialize_message(message))
    assert chunk.actions.shape[-1] != 1 or len(chunk.actions) == 0


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x00\x00" + bytes(7), bytes(messages.LARGEST_CHUNK + 1)])
def test_what_is_no_chunk_at_all_says_so(data: bytes) -> None:
    chunk = messages.chunk_of(data, "somebody")
    assert chunk.trouble and chunk.driver == "somebody" and chunk.actions.size == 0


def test_tracked_fields_are_found_by_either_name_in_any_order() -> None:
    reader = messages.TrackedReader(FIELDS)
    names = messages.tracked_names(FIELDS)
    assert names[0] == "base_position/x"
    values = np.arange(5.0)
    for order in (np.arange(5), np.array([4, 2, 0, 1, 3])):
        for short in (False, True):
            shown = [names[i].rpartition("/")[2] if short else names[i] for i in order]
            found = reader.read(JointState(name=shown, position=values[order].tolist()))
            assert found is not None
            assert found["base_position"].tolist() == [0, 1, 2] and found["object"].tolist() == [3, 4]
    assert reader.read(JointState(name=list(names[:4]), position=[0.0] * 4)) is None
    assert reader.read(JointState(name=list(names), position=[0.0] * 4)) is None
    assert messages.TrackedReader(()).read(JointState()) == {}


def test_a_status_is_spread_out_and_says_what_is_wrong() -> None:
    fine = messages.status_message(LoopStatus(state="HOLD"), "panda")
    assert fine.level == messages.OK and fine.message == "HOLD"
    wrong = LoopStatus(state="SOFT_STOP", faults={"bad_state": "NaN"}, latched="NaN", chunks_refused={"too_old": 3})
    told = messages.status_message(wrong, "panda", {"system": "no lock"})
    values = {pair.key: pair.value for pair in told.values}
    assert told.level == messages.ERROR and told.message == "SOFT_STOP: NaN"
    assert values["faults.bad_state"] == "NaN" and values["chunks_refused.too_old"] == "3"
    assert values["system"] == "no lock" and values["deadman"] == "False"
    warned = messages.status_message(LoopStatus(state="HOLD", missing="object: not tracked yet"), "panda")
    assert warned.level == messages.WARN and "not tracked" in warned.message
