"""The G1's own remote control, as it lies in 40 bytes of every state."""

from __future__ import annotations

import struct
from dataclasses import dataclass

BUTTONS = (
    "R1", "L1", "start", "select", "R2", "L2", "F1", "F2", "A", "B", "X", "Y", "up", "right", "down", "left",
)  # fmt: skip
"""From the lowest bit of the keys up."""

SIZE = 40
"""Of the remote's part of a state [byte]."""


@dataclass(frozen=True)
class Remote:
    """Keys and sticks."""

    buttons: frozenset[str] = frozenset()
    """Those held down, of :data:`BUTTONS`."""

    sticks: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Left x, left y, right x, right y, each in -1..1."""


def read_remote(data: bytes) -> Remote:
    """The remote from its bytes; sticks without a meaning count as in the middle."""
    return Remote(read_buttons(data), read_sticks(data))


def read_buttons(data: bytes) -> frozenset[str]:
    """Only the keys, which every state is looked through for."""
    keys = data[2] | data[3] << 8
    return frozenset(name for bit, name in enumerate(BUTTONS) if keys >> bit & 1) if keys else _NOTHING


def read_sticks(data: bytes) -> tuple[float, float, float, float]:
    """Only the sticks."""
    left_x, right_x, right_y = struct.unpack_from("<3f", data, 4)
    (left_y,) = struct.unpack_from("<f", data, 20)
    sound = [stick if -1.0 <= stick <= 1.0 else 0.0 for stick in (left_x, left_y, right_x, right_y)]
    return sound[0], sound[1], sound[2], sound[3]


def write_remote(remote: Remote) -> bytes:
    """Its bytes, for emulators."""
    keys = sum(1 << bit for bit, name in enumerate(BUTTONS) if name in remote.buttons)
    left_x, left_y, right_x, right_y = remote.sticks
    return struct.pack("<2xH3f4xf16x", keys, left_x, right_x, right_y, left_y)


_NOTHING: frozenset[str] = frozenset()
