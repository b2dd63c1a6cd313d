"""The contract between the process that simulates a robot and what speaks for the robot's electronics in it."""

from __future__ import annotations

from typing import Any, Protocol

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.joint_plant import JointPlant


class Emulator(Protocol):
    """Speaks a robot's own wire format for a simulated body.

    One thread calls it, once a servo period: ``command``, then, when the body has moved, ``publish``. Callbacks of its
    subscriptions may come from another thread.
    """

    def reset(self, state: BusState) -> None:
        """The body was put at a start; commands heard before do not count."""
        ...

    def command(self, state: BusState) -> JointCommand | None:
        """What the electronics make their motors do now; ``None`` leaves all joints limp.

        Args:
            state: as the body is, before it moves.
        """
        ...

    def publish(self, state: BusState) -> None:
        """Tell the outside what the body measures."""
        ...

    def close(self) -> None:
        """Free lines and threads; idempotent."""
        ...


class EmulatorMaker(Protocol):
    """``make_emulator`` of ``robot_stack/deploy/robots/<robot>.py``."""

    def __call__(self, plant: JointPlant, node: Any, parameters: dict[str, Any]) -> Emulator:
        """An emulator for one simulated body.

        Args:
            plant: the body; the caller moves it.
            node: of rclpy, in the robot's namespace; spun by the caller in a thread of its own.
            parameters: the robot's own, as its robot process gets them: interface, serial ports, configuration file.
        """
        ...
