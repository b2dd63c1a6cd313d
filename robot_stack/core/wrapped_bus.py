"""A joint bus in front of another one: everything passes, until a subclass changes something."""

from __future__ import annotations

from robot_stack.core.joint_bus import BusState, JointBus, Obeys
from robot_stack.core.joint_control import JointCommand


class WrappedBus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus` by another.

    Args:
        inner: the other.
    """

    def __init__(self, inner: JointBus) -> None:
        self.inner = inner
        """The other."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """As the other's."""
        return self.inner.joint_names

    @property
    def servo_hz(self) -> float:
        """As the other's [Hz]."""
        return self.inner.servo_hz

    @property
    def obeys(self) -> Obeys:
        """As the other's."""
        return self.inner.obeys

    def open(self) -> None:
        """As the other does."""
        self.inner.open()

    def engage(self) -> None:
        """As the other does."""
        self.inner.engage()

    def read(self) -> BusState | None:
        """What the other reads."""
        return self.inner.read()

    def write(self, command: JointCommand) -> None:
        """To the other."""
        self.inner.write(command)

    def release(self) -> None:
        """As the other does."""
        self.inner.release()

    def close(self) -> None:
        """As the other does."""
        self.inner.close()
