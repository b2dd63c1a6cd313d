"""How the G1's messages lie in bytes: as C structures, over which the checksum runs, and as CDR on the wire.

Fields and types are those of Unitree's ``unitree_hg`` message definitions (unitree_ros2, BSD-3-Clause). Each message is
written down once, as an aligned NumPy type, which lays it out as a C compiler does; its place in CDR (version 1, little
endian, final types) follows from it: the same numbers in the same order, each aligned to its own size, no padding at
the ends of structures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.hardware.unitree_g1.crc import crc32_words

SLOTS = 35
"""Motors that a message has room for; a G1 has 29 at most."""

HEADER = b"\x00\x01\x00\x00"
"""What little-endian CDR begins with."""

MOTOR_CMD = np.dtype(
    [("mode", "u1"), ("q", "<f4"), ("dq", "<f4"), ("tau", "<f4"), ("kp", "<f4"), ("kd", "<f4"), ("reserve", "<u4")],
    align=True,
)
"""One motor's command: mode 1 obeys, 0 is off; rad, rad/s, N·m, N·m/rad, N·m·s/rad."""

LOW_CMD = np.dtype(
    [
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("motor_cmd", MOTOR_CMD, (SLOTS,)),
        ("reserve", "<u4", (4,)),
        ("crc", "<u4"),
    ],
    align=True,
)
"""``unitree_hg/LowCmd``: mode_pr 0 commands ankles and waist as pitch and roll, 1 as the motors A and B."""

IMU_STATE = np.dtype(
    [
        ("quaternion", "<f4", (4,)),
        ("gyroscope", "<f4", (3,)),
        ("accelerometer", "<f4", (3,)),
        ("rpy", "<f4", (3,)),
        ("temperature", "<i2"),
    ],
    align=True,
)
"""``unitree_hg/IMUState``: wxyz; rad/s and m/s² in the sensor's axes; roll, pitch, yaw; °C."""

MOTOR_STATE = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<f4"),
        ("tau_est", "<f4"),
        ("temperature", "<i2", (2,)),
        ("vol", "<f4"),
        ("sensor", "<u4", (2,)),
        ("motorstate", "<u4"),
        ("reserve", "<u4", (4,)),
    ],
    align=True,
)
"""One motor's state; temperatures of casing and winding [°C]; ``motorstate`` is 0 when all is well."""

LOW_STATE = np.dtype(
    [
        ("version", "<u4", (2,)),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("tick", "<u4"),
        ("imu_state", IMU_STATE),
        ("motor_state", MOTOR_STATE, (SLOTS,)),
        ("wireless_remote", "u1", (40,)),
        ("reserve", "<u4", (4,)),
        ("crc", "<u4"),
    ],
    align=True,
)
"""``unitree_hg/LowState``."""

BMS_STATE = np.dtype(
    [
        ("version_high", "u1"),
        ("version_low", "u1"),
        ("fn", "u1"),
        ("cell_vol", "<u2", (40,)),
        ("bmsvoltage", "<u4", (3,)),
        ("current", "<i4"),
        ("soc", "u1"),
        ("soh", "u1"),
        ("temperature", "<i2", (12,)),
        ("cycle", "<u2"),
        ("manufacturer_date", "<u2"),
        ("bmsstate", "<u4", (5,)),
        ("reserve", "<u4", (3,)),
    ],
    align=True,
)
"""``unitree_hg/BmsState``: the battery; ``soc`` in percent."""


class MalformedMessageError(RobotStackError):
    """Bytes that are not the message they should be."""


@dataclass(frozen=True)
class Leaf:
    """One number of a message, or a row of equal ones."""

    kind: np.dtype
    """Its type."""

    count: int
    """How many in a row."""

    offset: int
    """Where it lies in the C structure [byte]."""


def leaves(kind: np.dtype, offset: int = 0) -> Iterator[Leaf]:
    """The numbers of an aligned NumPy type, in order."""
    fields: Any = kind.fields or {}
    for part, begin, *_ in (fields[name] for name in kind.names or ()):
        element, shape = part.subdtype or (part, ())
        count = int(np.prod(shape, dtype=int))
        if element.names is None:
            yield Leaf(element, count, offset + begin)
            continue
        for i in range(count):
            yield from leaves(element, offset + begin + i * element.itemsize)


class Layout:
    """One message: bytes of the wire to a record and back.

    Args:
        kind: an aligned NumPy type.
        name: of the message, for errors.
    """

    def __init__(self, kind: np.dtype, name: str) -> None:
        self.kind, self.name = kind, name
        wire, here, places = len(HEADER), [], []
        for leaf in leaves(kind):
            size = leaf.kind.itemsize
            wire += (-(wire - len(HEADER))) % size
            here.append(np.arange(leaf.offset, leaf.offset + size * leaf.count))
            places.append(np.arange(wire, wire + size * leaf.count))
            wire += size * leaf.count
        self._here, self._places = np.concatenate(here), np.concatenate(places)
        self.wire_size = wire
        """Of a serialised message with its header [byte]."""
        # Padding of the structure is read from byte 0 of the header, which is zero: the checksum needs zeros there,
        # whatever a sender left in its own padding.
        self._gather = np.zeros(kind.itemsize, dtype=np.intp)
        self._gather[self._here] = self._places

    def read(self, data: bytes) -> np.ndarray:
        """A message from the wire, a record of shape ``()`` with padding zeroed.

        Raises:
            MalformedMessageError: if its length or header is wrong.
        """
        # CDR may be padded at its end to a multiple of four.
        if not self.wire_size <= len(data) < self.wire_size + 4:
            raise MalformedMessageError(f"a {self.name} has a wrong size", got=len(data), expected=self.wire_size)
        if data[:2] != HEADER[:2]:
            raise MalformedMessageError(f"a {self.name} is not little-endian CDR", got=data[:4].hex())
        return np.frombuffer(data, dtype=np.uint8)[self._gather].view(self.kind)[0]

    def write(self, record: np.ndarray) -> bytes:
        """A record of shape ``()`` as it goes over the wire."""
        wire = np.zeros(self.wire_size, dtype=np.uint8)
        wire[: len(HEADER)] = np.frombuffer(HEADER, dtype=np.uint8)
        wire[self._places] = np.frombuffer(record.tobytes(), dtype=np.uint8)[self._here]
        return wire.tobytes()


COMMAND = Layout(LOW_CMD, "LowCmd")
"""What the robot listens to."""

STATE = Layout(LOW_STATE, "LowState")
"""What it says."""

IMU = Layout(IMU_STATE, "IMUState")
"""Of the sensor in its torso."""

BATTERY = Layout(BMS_STATE, "BmsState")
"""Of its battery."""


def checksum(record: Any) -> int:
    """What the last word of a LowCmd or LowState must be; padding of the record must be zero."""
    return crc32_words(record.tobytes()[:-4])
