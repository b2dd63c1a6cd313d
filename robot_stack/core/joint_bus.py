"""The contract between what decides about joints and what moves them: a robot's own electronics, or an emulator's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.core.joint_control import JointCommand

Obeys = Literal["full", "position"]
"""Whether a bus carries out the whole :class:`~robot_stack.core.joint_control.JointCommand`, or its positions alone."""


class BusError(RobotStackError):
    """A robot cannot be reached, or refuses."""


@dataclass(frozen=True, eq=False)
class BusState:
    """What a robot's electronics said last. Arrays are never written to again once they are handed out."""

    time_s: float
    """When it was received, on the clock of the process [s]."""

    sequence: int
    """The robot's own count of its states; one that stands still is a frozen robot."""

    joint_position: np.ndarray
    """Of every joint of :attr:`JointBus.joint_names`, shape ``(joints,)`` [rad or m]."""

    joint_velocity: np.ndarray
    """Likewise [rad/s or m/s]."""

    joint_effort: np.ndarray
    """Estimated by the robot, likewise [N·m or N]; zeros where it says nothing."""

    q_world_base: np.ndarray | None = None
    """Orientation of the base by its inertial sensor, unit quaternion wxyz, shape ``(4,)``; ``None`` without one."""

    w_base: np.ndarray | None = None
    """Angular velocity in the base's axes, shape ``(3,)`` [rad/s]."""

    a_base: np.ndarray | None = None
    """Acceleration as an accelerometer gives it, in the base's axes, shape ``(3,)`` [m/s²]."""

    foot_force: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Of each foot, shape ``(feet,)`` [N]; empty where none is measured."""

    faults: tuple[str, ...] = ()
    """What is wrong by the robot's own account so that it must stop, in words: over-temperature, a motor's error."""

    warnings: tuple[str, ...] = ()
    """What should be looked after, in words."""

    buttons: frozenset[str] = frozenset()
    """Buttons of the robot's own remote control that are held down, by their names."""

    readings: Mapping[str, float] = field(default_factory=dict)
    """Anything else worth showing, with its unit in the name: ``battery_percent``, ``hottest_motor_celsius``."""


class JointBus(Protocol):
    """One robot's joints. One thread calls it; no call waits longer than a fraction of a servo period.

    ``open`` moves nothing. ``engage`` is the robot's own start-up (releasing its own controllers, switching torque on)
    and may take seconds; it ends with joints that are limp or hold still. ``release`` undoes it, where there is a way.
    """

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every driven joint, in the order of all arrays here: that of ``RobotSpec.driven``."""
        ...

    @property
    def servo_hz(self) -> float:
        """How often commands are to be written [Hz]."""
        ...

    @property
    def obeys(self) -> Obeys:
        """What of a command is carried out."""
        ...

    def open(self) -> None:
        """Connect; idempotent.

        Raises:
            BusError: if the robot cannot be reached.
        """
        ...

    def engage(self) -> None:
        """Make the robot listen to us; nothing moves by more than its own weight moves it.

        Raises:
            BusError: if it refuses, or nothing was heard from it.
        """
        ...

    def read(self) -> BusState | None:
        """The newest state; the same one again while there is no newer; ``None`` before the first."""
        ...

    def write(self, command: JointCommand) -> None:
        """Send one command, in the order of :attr:`joint_names`.

        Gains of zero leave a joint limp where :attr:`obeys` is ``"full"``.

        Raises:
            BusError: if the line is broken.
        """
        ...

    def release(self) -> None:
        """Leave the robot at rest and stop listening to us, as far as it has a way; never raises."""
        ...

    def close(self) -> None:
        """Disconnect; idempotent, never raises."""
        ...
