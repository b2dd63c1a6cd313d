"""A robot that is read and never moved: for the first run of a deployment, with its motors off."""

from __future__ import annotations

from robot_stack.core.joint_bus import BusState, JointBus, Obeys
from robot_stack.core.joint_control import JointCommand


class DryBus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus` by another, of which only states are read.

    Args:
        inner: the robot.
    """

    def __init__(self, inner: JointBus) -> None:
        self.inner = inner
        """The robot."""
        self.withheld: JointCommand | None = None
        """What the robot would have been told last."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """As the robot's."""
        return self.inner.joint_names

    @property
    def servo_hz(self) -> float:
        """As the robot's [Hz]."""
        return self.inner.servo_hz

    @property
    def obeys(self) -> Obeys:
        """As the robot's."""
        return self.inner.obeys

    def open(self) -> None:
        """Connect, to listen."""
        self.inner.open()

    def engage(self) -> None:
        """Nothing: the robot keeps its own controllers."""

    def read(self) -> BusState | None:
        """As the robot says."""
        return self.inner.read()

    def write(self, command: JointCommand) -> None:
        """Kept in :attr:`withheld`."""
        self.withheld = command

    def release(self) -> None:
        """Nothing: it was never engaged."""

    def close(self) -> None:
        """Disconnect."""
        self.inner.close()
