"""What can be made to go wrong with an emulated G1, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES

FAULTS: Mapping[str, str] = {
    "dead": "the robot's computer is off: it says nothing, and its motors keep what they were told last",
    "deaf": "commands do not arrive",
    "freeze": "the same state again and again, its count standing still",
    "drop": "so many states are lost; a negative number for all",
    "duplicate": "so many states are sent twice",
    "reorder": "so many pairs of states are sent in the wrong order",
    "wrong_checksum": "a bit of every state is flipped",
    "nan_imu": "the inertial sensor's quaternion is not numbers",
    "zero_quaternion": "its quaternion is zero",
    "w_last": "its quaternion has w at its end",
    "encoder_jump": "the encoder of a joint, by number, reads 2 pi more",
    "nan_joint": "the measurements of a joint, by number, are not numbers",
    "hot_casing": "the casing of a joint's motor, by number, is at 95 °C",
    "hot_winding": "its winding is at 130 °C",
    "motor_error": "the motor of a joint, by number, reports an error",
    "battery": "the battery's charge [%]",
    "machine": "mode_machine is another number",
    "restart": "the count of states begins again",
}
"""Name, and what it does with its number."""

_JOINT = ("encoder_jump", "nan_joint", "hot_casing", "hot_winding", "motor_error")


def parse_faults(texts: list[str]) -> dict[str, float]:
    """Faults from ``name`` or ``name=number``, as a parameter lists them.

    Raises:
        UnknownNameError: naming the nearest faults.
        ConfigError: if a number is none, or no joint's.
    """
    found = {}
    for text in filter(None, texts):
        name, _, number = text.partition("=")
        try:
            found[name] = float(number or 1.0)
        except ValueError:
            raise ConfigError("a fault needs a number", where=name, got=number) from None
        check_fault(name, found[name])
    return found


def check_fault(name: str, value: float) -> None:
    """Refuse a fault that does not exist.

    Raises:
        UnknownNameError: naming the nearest faults.
        ConfigError: if its number is no joint's.
    """
    require_name("fault", name, FAULTS)
    if not math.isfinite(value) or (name in _JOINT and value not in range(len(JOINT_NAMES))):
        raise ConfigError("a fault's number is out of range", where=name, got=value, expected="a joint, 0 to 28")


def spoil(record: Any, faults: Mapping[str, float]) -> None:
    """Write what is wrong into a ``LowState`` before its checksum is made."""
    motors, imu = record["motor_state"], record["imu_state"]
    for name, value in faults.items():
        if name in _JOINT:
            _spoil_motor(motors, name, int(value))
        elif name == "nan_imu":
            imu["quaternion"], imu["gyroscope"] = np.nan, np.nan
        elif name == "zero_quaternion":
            imu["quaternion"] = 0.0
        elif name == "w_last":
            imu["quaternion"] = np.roll(imu["quaternion"], -1)
        elif name == "machine":
            record["mode_machine"] = int(value)


def _spoil_motor(motors: Any, name: str, joint: int) -> None:
    if name == "encoder_jump":
        motors["q"][joint] += 2.0 * math.pi
    elif name == "nan_joint":
        motors["q"][joint] = np.nan
    elif name == "hot_casing":
        motors["temperature"][joint, 0] = 95
    elif name == "hot_winding":
        motors["temperature"][joint, 1] = 130
    else:
        motors["motorstate"][joint] = 0x10
