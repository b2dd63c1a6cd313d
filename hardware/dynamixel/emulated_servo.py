"""The memory and the manners of one emulated servo: what it accepts, what it refuses, and a simple motion."""

from __future__ import annotations

from dataclasses import dataclass

from robot_stack.hardware.dynamixel.control_table import (
    ALERT,
    CURRENT_LIMIT,
    FIRMWARE,
    GOAL_CURRENT,
    GOAL_POSITION,
    HARDWARE_ERROR,
    HOMING_OFFSET,
    MODEL_NUMBER,
    OPERATING_MODE,
    POSITION_P,
    PRESENT_CURRENT,
    PRESENT_POSITION,
    PRESENT_TEMPERATURE,
    PRESENT_VELOCITY,
    PRESENT_VOLTAGE,
    RETURN_DELAY,
    SHUTDOWN,
    TORQUE_ENABLE,
    VELOCITY_LIMIT,
    VELOCITY_UNIT,
    XC330_T288,
    Item,
    radians_of,
)

SIZE = 228
"""Of the control table [bytes]."""

KEPT = 64
"""Entries below this address survive power off and can be written only while the torque is off."""

FAILED, BAD_INSTRUCTION, BAD_LENGTH, BEYOND_LIMIT, NO_ACCESS = 1, 2, 5, 6, 7
"""Error numbers of answers."""

READ_ONLY = (MODEL_NUMBER, FIRMWARE, HARDWARE_ERROR, PRESENT_CURRENT, PRESENT_VELOCITY, PRESENT_POSITION)
"""Entries that cannot be written, of those we know."""

OVERLOAD = 1 << 5
"""Bit of the hardware error register."""


@dataclass(frozen=True)
class Goal:
    """What a servo would do now."""

    torque: bool
    """Whether it moves at all."""

    position: int
    """[4096th of a turn]."""

    current: int
    """The most it may use [mA]."""

    gain: int
    """Its position loop's P."""


class EmulatedServo:
    """One servo's control table.

    Args:
        number: its id.
        position: where it stands at first [4096th of a turn].
        model: its model number.
    """

    def __init__(self, number: int, position: int = 2048, model: int = XC330_T288) -> None:
        self.number = number
        self._table = bytearray(SIZE)
        self._model = model
        for item, value in (
            (FIRMWARE, 46),
            (RETURN_DELAY, 250),
            (OPERATING_MODE, 3),
            (CURRENT_LIMIT, 910),
            (VELOCITY_LIMIT, 320),
            (SHUTDOWN, 52),
        ):
            self.put(item, value)
        self.restart()
        self.place(position, 0, 0)

    def restart(self) -> None:
        """As after a reboot: torque off, errors gone, defaults in what is not kept."""
        kept, present = self._table[:KEPT], self.get(PRESENT_POSITION)
        self._table[:] = bytes(SIZE)
        self._table[:KEPT] = kept
        for item, value in (
            (MODEL_NUMBER, self._model),
            (POSITION_P, 900),
            (GOAL_CURRENT, self.get(CURRENT_LIMIT)),
            (GOAL_POSITION, present),
            (PRESENT_POSITION, present),
            (PRESENT_VOLTAGE, 120),
            (PRESENT_TEMPERATURE, 32),
        ):
            self.put(item, value)

    def get(self, item: Item) -> int:
        """An entry's value."""
        return item.decode(bytes(self._table[item.address : item.address + item.size]))

    def put(self, item: Item, value: int) -> None:
        """Change an entry from the inside, whatever its access."""
        self._table[item.address : item.address + item.size] = item.encode(value)

    def place(self, position: int, velocity: int, current: int) -> None:
        """What it measures from now on, in its own units."""
        self.put(PRESENT_POSITION, position)
        self.put(PRESENT_VELOCITY, velocity)
        self.put(PRESENT_CURRENT, max(min(current, 32767), -32768))

    @property
    def goal(self) -> Goal:
        """What it would do now."""
        return Goal(
            bool(self.get(TORQUE_ENABLE)), self.get(GOAL_POSITION), abs(self.get(GOAL_CURRENT)), self.get(POSITION_P)
        )

    def overload(self) -> None:
        """Switch off as after too high a load for too long, until a reboot."""
        self.put(HARDWARE_ERROR, self.get(HARDWARE_ERROR) | OVERLOAD)
        if self.get(SHUTDOWN) & OVERLOAD:
            self.put(TORQUE_ENABLE, 0)

    @property
    def alert(self) -> int:
        """The alert bit for its answers."""
        return ALERT if self.get(HARDWARE_ERROR) else 0

    def fetch(self, address: int, length: int) -> tuple[int, bytes]:
        """Error byte and data of a read."""
        if length == 0 or address + length > SIZE:
            return NO_ACCESS | self.alert, b""
        return self.alert, bytes(self._table[address : address + length])

    def store(self, address: int, data: bytes) -> int:
        """Error byte of a write."""
        error = self._refusal(address, data)
        if error:
            return error | self.alert
        goes_on = address == TORQUE_ENABLE.address and data[0] and not self.get(TORQUE_ENABLE)
        self._table[address : address + len(data)] = data
        if goes_on:
            self.put(GOAL_POSITION, self.get(PRESENT_POSITION))
        return self.alert

    def move(self, period_s: float) -> None:
        """Go to the goal at no more than the velocity limit, for tests without a plant."""
        goal, here = self.goal, self.get(PRESENT_POSITION)
        most = self.get(VELOCITY_LIMIT) * VELOCITY_UNIT * period_s / radians_of(1)
        step = round(max(min(goal.position - here, most), -most)) if goal.torque else 0
        self.place(here + step, round(radians_of(step) / period_s / VELOCITY_UNIT), 40 if step else 0)

    def _refusal(self, address: int, data: bytes) -> int:
        if not data or address + len(data) > SIZE:
            return NO_ACCESS
        if address < KEPT and self.get(TORQUE_ENABLE):
            return NO_ACCESS
        for item in READ_ONLY:
            if address < item.address + item.size and item.address < address + len(data):
                return NO_ACCESS
        if address == TORQUE_ENABLE.address and data[0] and self.get(HARDWARE_ERROR):
            return FAILED
        for item in (GOAL_POSITION, GOAL_CURRENT, HOMING_OFFSET):
            if address == item.address and len(data) < item.size:
                return BAD_LENGTH
        if address == GOAL_CURRENT.address and abs(GOAL_CURRENT.decode(data)) > self.get(CURRENT_LIMIT):
            return BEYOND_LIMIT
        return 0
