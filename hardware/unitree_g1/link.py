"""What carries the G1's messages, as bytes; ROS on the real robot, or nothing at all in simulated time."""

from __future__ import annotations

from typing import Literal, Protocol

from robot_stack.hardware.unitree_g1.motion import Answer

CommandTopic = Literal["lowcmd", "arm_sdk"]
"""Where commands go: to all joints, or beside the robot's own motion control to arms and waist."""


class Link(Protocol):
    """One robot's topics. One thread calls it, and no call but :meth:`ask` waits."""

    def open(self) -> None:
        """Connect; idempotent.

        Raises:
            BusError: if there is no network.
        """
        ...

    def states(self) -> list[bytes]:
        """``LowState`` messages that came since the last call, oldest first; at most a few."""
        ...

    def battery(self) -> bytes | None:
        """The newest ``BmsState`` since the last call."""
        ...

    def send(self, data: bytes) -> None:
        """Send a ``LowCmd``.

        Raises:
            BusError: if the line is broken.
        """
        ...

    def other_writers(self) -> int:
        """How many others publish commands for the same joints, as far as is known."""
        ...

    def ask(self, service: str, api: int, parameter: str, wait_s: float) -> Answer | None:
        """Ask a service of the robot; ``None`` when no answer came within ``wait_s`` [s]."""
        ...

    def close(self) -> None:
        """Disconnect; idempotent, never raises."""
        ...
