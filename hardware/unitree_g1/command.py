"""``LowCmd`` messages: one that is filled in again and again."""

from __future__ import annotations

import numpy as np

from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.joints import ARM_SDK_WEIGHT, JOINT_NAMES
from robot_stack.hardware.unitree_g1.layout import COMMAND, LOW_CMD, checksum

COUNT = len(JOINT_NAMES)
ENABLED = 1
"""Motor mode that obeys."""

LARGEST = float(np.finfo(np.float32).max)
"""What a message can carry."""

_PARTS = (("q", "position"), ("dq", "velocity"), ("tau", "effort"), ("kp", "stiffness"), ("kd", "damping"))


class CommandWriter:
    """Makes the bytes of commands.

    Args:
        parallel: command the motors A and B of ankles and waist.
    """

    def __init__(self, parallel: bool = False) -> None:
        self._record = np.zeros((), LOW_CMD)
        self._record["mode_pr"] = int(parallel)
        motors = self._record["motor_cmd"]
        motors["mode"][:COUNT] = ENABLED
        self._parts = [(name, motors[field][:COUNT]) for field, name in _PARTS]
        self._motors = motors

    def write(self, command: JointCommand, machine: int) -> bytes:
        """A command for the wire.

        Args:
            command: of all 29 joints.
            machine: ``mode_machine`` of the robot.

        Raises:
            BusError: if it is of another size, or not all of it is finite.
        """
        for name, part in self._parts:
            values = getattr(command, name)
            if values.shape != (COUNT,):
                raise BusError(f"a command's {name} is of another robot", got=values.shape, expected=(COUNT,))
            if not (np.abs(values) <= LARGEST).all():  # NaN is not, either
                raise BusError(f"a command's {name} is not finite as the robot gets it", got=values.tolist())
            part[:] = values
        return self._finish(machine)

    def weigh(self, weight: float) -> None:
        """How much of arms and waist is ours in the next commands, 0 to 1; only ``arm_sdk`` looks at it."""
        self._motors["q"][ARM_SDK_WEIGHT] = weight

    def _finish(self, machine: int) -> bytes:
        self._record["mode_machine"] = machine
        self._record["crc"] = checksum(self._record)
        return COMMAND.write(self._record)


def damp(damping: float) -> JointCommand:
    """No stiffness, and the same damping everywhere."""
    zero = np.zeros(COUNT)
    return JointCommand(zero, zero, zero, zero, np.full(COUNT, damping))
