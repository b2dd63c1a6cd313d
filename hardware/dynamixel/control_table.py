"""The part of the XC330's control table that we use, its units, and what its error bits mean.

From https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/; X series servos with current control agree on it but for the
unit and the largest value of the current.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class Item:
    """One entry of a control table."""

    name: str
    """As in the manual, in lower case."""

    address: int
    """Of its first byte."""

    size: int
    """[bytes]."""

    signed: bool = False
    """Whether it is a two's complement number."""

    kept: bool = False
    """Whether it survives power off; such can be written only while the torque is off."""

    def encode(self, value: int) -> bytes:
        """Its bytes.

        Raises:
            ConfigError: if the value does not fit.
        """
        try:
            return int(value).to_bytes(self.size, "little", signed=self.signed)
        except OverflowError:
            raise ConfigError(
                f"a value does not fit the servo's {self.name}",
                got=value,
                expected=f"{self.size} byte(s), {'signed' if self.signed else 'not negative'}",
            ) from None

    def decode(self, data: bytes) -> int:
        """The number in its bytes."""
        return int.from_bytes(data, "little", signed=self.signed)


MODEL_NUMBER = Item("model number", 0, 2, kept=True)
FIRMWARE = Item("firmware version", 6, 1, kept=True)
RETURN_DELAY = Item("return delay time", 9, 1, kept=True)
OPERATING_MODE = Item("operating mode", 11, 1, kept=True)
HOMING_OFFSET = Item("homing offset", 20, 4, signed=True, kept=True)
CURRENT_LIMIT = Item("current limit", 38, 2, kept=True)
VELOCITY_LIMIT = Item("velocity limit", 44, 4, kept=True)
SHUTDOWN = Item("shutdown", 63, 1, kept=True)
TORQUE_ENABLE = Item("torque enable", 64, 1)
HARDWARE_ERROR = Item("hardware error status", 70, 1)
POSITION_D = Item("position D gain", 80, 2)
POSITION_I = Item("position I gain", 82, 2)
POSITION_P = Item("position P gain", 84, 2)
GOAL_CURRENT = Item("goal current", 102, 2, signed=True)
PROFILE_VELOCITY = Item("profile velocity", 112, 4)
GOAL_POSITION = Item("goal position", 116, 4, signed=True)
PRESENT_CURRENT = Item("present current", 126, 2, signed=True)
PRESENT_VELOCITY = Item("present velocity", 128, 4, signed=True)
PRESENT_POSITION = Item("present position", 132, 4, signed=True)
PRESENT_VOLTAGE = Item("present input voltage", 144, 2)
PRESENT_TEMPERATURE = Item("present temperature", 146, 1)

PRESENT = PRESENT_CURRENT.address, 10
"""Address and length of current, velocity and position, which stand side by side."""

XC330_T288 = 1220
"""Model number of LocoMan's servos."""

CURRENT_BASED_POSITION = 5
"""The operating mode in which a goal current bounds what the position loop may use; many turns are possible."""

TICKS_PER_TURN = 4096
"""Of the position."""

VELOCITY_UNIT = 0.229 * 2.0 * math.pi / 60.0
"""Of one count of velocity [rad/s]."""

CURRENT_UNIT_A = 0.001
"""Of one count of current [A]."""

VOLTAGE_UNIT_V = 0.1
"""Of one count of voltage [V]."""

HARDWARE_ERRORS = {0: "input voltage", 2: "overheating", 3: "motor encoder", 4: "electrical shock", 5: "overload"}
"""Bits of the hardware error register, most of which switch the torque off until a reboot."""

ALERT = 0x80
"""Bit of an answer's error byte: the hardware error register is not zero."""

ANSWER_ERRORS = {
    1: "the servo failed to carry it out",
    2: "undefined instruction",
    3: "wrong CRC",
    4: "value out of range",
    5: "value of the wrong length",
    6: "value beyond a limit",
    7: "address cannot be written or read now",
}
"""Lower seven bits of an answer's error byte."""


def hardware_errors(register: int) -> tuple[str, ...]:
    """What a hardware error register says, in words."""
    return tuple(HARDWARE_ERRORS.get(bit, f"error bit {bit}") for bit in range(8) if register >> bit & 1)


def radians_of(ticks: int) -> float:
    """An angle [rad]; 0 at tick 0."""
    return ticks * (2.0 * math.pi / TICKS_PER_TURN)


def ticks_of(radians: float) -> int:
    """The nearest position; half of a tick goes to the even one."""
    return round(radians * (TICKS_PER_TURN / (2.0 * math.pi)))
