"""A robot that is read and never moved: for the first run of a deployment, with its motors off."""

from __future__ import annotations

from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.wrapped_bus import WrappedBus


class DryBus(WrappedBus):
    """A robot of which only states are read.

    Args:
        inner: the robot.
    """

    def __init__(self, inner: JointBus) -> None:
        super().__init__(inner)
        self.withheld: JointCommand | None = None
        """What the robot would have been told last."""

    def engage(self) -> None:
        """Nothing: the robot keeps its own controllers."""

    def write(self, command: JointCommand) -> None:
        """Kept in :attr:`withheld`."""
        self.withheld = command

    def release(self) -> None:
        """Nothing: it was never engaged."""
