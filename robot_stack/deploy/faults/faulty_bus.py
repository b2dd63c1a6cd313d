"""A joint bus between the loop and another one: it does harm to what passes and shows what reached the motors."""

from __future__ import annotations

from collections.abc import Callable

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusError, BusState, JointBus
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.wrapped_bus import WrappedBus

Harm = Callable[[BusState], BusState | None]
"""Changes a state on its way to the loop; ``None``: it never comes, and the one before stays the newest."""

Wiretap = Callable[[float, JointCommand], None]
"""Sees every command that reached the motors, with the time [s]."""


class FaultyBus(WrappedBus):
    """Does harm to states on their way, and breaks.

    Args:
        inner: what is on the other side.
        clock: whose time commands are stamped with.
        wiretap: sees what passes.
    """

    def __init__(self, inner: JointBus, clock: Clock, wiretap: Wiretap) -> None:
        super().__init__(inner)
        self._clock, self._wiretap = clock, wiretap
        self.harm: Harm | None = None
        """What happens to states; ``None``: nothing."""
        self.deaf = False
        """Reading raises."""
        self.mute = False
        """Writing raises."""
        self._newest: BusState | None = None

    def read(self) -> BusState | None:
        """The other's state, with harm done to it.

        Raises:
            BusError: while :attr:`deaf`.
        """
        state = self.inner.read()
        if self.deaf:
            raise BusError("the line is dead")
        if state is None or self.harm is None:
            self._newest = state
            return state
        harmed = self.harm(state)
        if harmed is not None:
            self._newest = harmed
        return self._newest

    def write(self, command: JointCommand) -> None:
        """To the other, unless it is :attr:`mute`.

        Raises:
            BusError: while :attr:`mute`.
        """
        if self.mute:
            raise BusError("the line is dead")
        self._wiretap(self._clock.now(), command)
        self.inner.write(command)
