"""A robot's observations, actions and status as ROS's standard messages, and drivers' messages as our own records."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from robot_stack.core.action import Intervention
from robot_stack.core.fields import Field
from robot_stack.core.joint_bus import BusState
from robot_stack.core.senses import Tracked
from robot_stack.hardware.chunk_buffer import StampedChunk, to_ns
from robot_stack.hardware.loop_reports import LoopStatus
from robot_stack.hardware.perception import in_one_line
from robot_stack.hardware.ros.qos import set_stamp, stamp_ns

LARGEST_CHUNK = 1 << 20
"""A larger message is no chunk: a thousand actions of forty numbers have a third of it [bytes]."""

OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"
"""Levels of a ``DiagnosticStatus``."""


def numbers_message(names: Sequence[str]) -> JointState:
    """A message with named numbers; fill it again and again with :func:`fill_numbers`."""
    return JointState(name=list(names))


def fill_numbers(message: JointState, numbers: np.ndarray, time_ns: int) -> JointState:
    """Put a vector into a message of :func:`numbers_message`."""
    set_stamp(message.header, time_ns)
    message.position = array("d", np.ascontiguousarray(numbers, dtype=np.float64).tobytes())
    return message


def fill_joints(message: JointState, state: BusState) -> JointState:
    """Put the joints' state into a message that has their names."""
    fill_numbers(message, state.joint_position, to_ns(state.time_s))
    message.velocity = array("d", np.ascontiguousarray(state.joint_velocity, dtype=np.float64).tobytes())
    message.effort = array("d", np.ascontiguousarray(state.joint_effort, dtype=np.float64).tobytes())
    return message


def chunk_of(data: bytes, driver: str = "") -> StampedChunk:
    """A driver's chunk; whatever is wrong with it is left for the chunk buffer to find.

    Args:
        data: a ``JointTrajectory`` as it came over the wire.
        driver: who sent it.
    """
    if len(data) > LARGEST_CHUNK:
        return _unreadable(f"{len(data)} bytes, limit {LARGEST_CHUNK}", driver)
    try:
        message = deserialize_message(data, JointTrajectory)
    except Exception as error:  # whatever the middleware raises
        return _unreadable(f"it is damaged: {in_one_line(error)}", driver)
    rows = [point.positions for point in message.points]
    sizes = {len(row) for row in rows}
    ragged = len(sizes) != 1
    actions = np.zeros((0, 0)) if ragged else np.array(rows, dtype=np.float64)
    offsets = [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points]
    return StampedChunk(
        stamp_ns(message.header),
        tuple(message.joint_names),
        actions,
        np.array(offsets, dtype=np.float64),
        message.header.frame_id,
        driver,
    )


def _unreadable(trouble: str, driver: str) -> StampedChunk:
    return StampedChunk(0, (), np.zeros((0, 0)), np.zeros(0), driver=driver, trouble=trouble)


class TrackedReader:
    """Reads what is tracked, by field or by the names of a field's numbers.

    Args:
        fields: that have to be tracked; ``name`` of the message holds ``field/number``, for example
            ``base_position/x``, or the number's name alone where it is unique.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = tuple(fields)
        self._names: tuple[str, ...] = ()
        self._where: dict[str, np.ndarray] = {}

    def read(self, message: JointState) -> Tracked | None:
        """The fields of a message; ``None`` where one is missing or the numbers do not fit the names."""
        names = tuple(message.name)
        if names != self._names:
            self._names, self._where = names, self._find(names)
        values = np.frombuffer(message.position, dtype=np.float64)
        if len(values) != len(names) or len(self._where) != len(self._fields):
            return None
        return {name: values[where] for name, where in self._where.items()}

    def _find(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        place = {name: index for index, name in enumerate(names)}
        found: dict[str, np.ndarray] = {}
        for field in self._fields:
            wanted = [f"{field.name}/{element}" for element in field.element_names]
            indices = [place.get(full, place.get(full.rpartition("/")[2], -1)) for full in wanted]
            if min(indices) >= 0:
                found[field.name] = np.array(indices, dtype=np.int64)
        return found


def tracked_names(fields: Sequence[Field]) -> tuple[str, ...]:
    """What a tracking node names its numbers, in order."""
    return tuple(f"{field.name}/{element}" for field in fields for element in field.element_names)


def interventions_message(interventions: Sequence[Intervention], time_ns: int, robot: str) -> DiagnosticStatus:
    """What was changed of an action, and why."""
    message = DiagnosticStatus(level=WARN, name="interventions", hardware_id=robot)
    message.message = "; ".join(each.reason for each in interventions)
    message.values = pairs({"stamp_ns": time_ns, **{each.reason: each.detail for each in interventions}})
    return message


def status_message(status: LoopStatus, robot: str, extra: Mapping[str, object] | None = None) -> DiagnosticStatus:
    """A snapshot as keys and values; keys are those of :class:`~robot_stack.hardware.loop_reports.LoopStatus`.

    Mappings are spread out: ``faults.<name>``, ``readings.<name>``, ``chunks_refused.<reason>``.
    """
    message = DiagnosticStatus(level=OK, name="robot", hardware_id=robot, message=status.state)
    if status.faults or status.latched:
        message.level = ERROR
        message.message = f"{status.state}: {'; '.join(status.faults.values()) or status.latched}"
    elif status.missing or status.warnings or status.rivals:
        message.level = WARN
        rivals = tuple(f"{rival!r} sends actions as well" for rival in status.rivals)
        message.message = f"{status.state}: {'; '.join((status.missing, *status.warnings, *rivals)).strip('; ')}"
    values: dict[str, object] = {}
    for name, value in vars(status).items():
        if isinstance(value, Mapping):
            values |= {f"{name}.{key}": each for key, each in value.items()}
        else:
            values[name] = "; ".join(value) if isinstance(value, tuple) else value
    message.values = pairs(values | dict(extra or {}))
    return message


def pairs(values: Mapping[str, object]) -> list[KeyValue]:
    """Keys and values as texts."""
    return [KeyValue(key=key, value=_text(value)) for key, value in values.items()]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
