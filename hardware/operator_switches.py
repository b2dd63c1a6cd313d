"""What operators hold and press: deadman switch, emergency stop, the buttons of the robot's own remote control."""

from __future__ import annotations

from collections.abc import Set

from robot_stack.hardware.loop_config import ButtonPress
from robot_stack.hardware.state_machine import Event


class Deadman:
    """A switch that counts as held only while messages with changing stamps say so.

    Args:
        timeout_s: with no new message for so long it counts as released [s].
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        """With no new message for so long it counts as released [s]."""
        self._held = False
        self._stamp_ns: int | None = None
        self._since_s = -float("inf")

    def hear(self, held: bool, stamp_ns: int, now_s: float) -> None:
        """A message came; one with the stamp of the one before it says nothing new, unless it lets go."""
        if stamp_ns != self._stamp_ns:
            self._stamp_ns, self._since_s = stamp_ns, now_s
            self._held = held
        else:
            self._held = self._held and held

    def held(self, now_s: float) -> bool:
        """Whether somebody holds it now."""
        return self._held and now_s - self._since_s <= self.timeout_s


class RemoteButtons:
    """Turns buttons that go down into events, once each.

    Args:
        presses: what they ask for.
        deadman: buttons that, held together, are a deadman switch; empty for none.
    """

    def __init__(self, presses: tuple[ButtonPress, ...], deadman: tuple[str, ...] = ()) -> None:
        self._presses = [(frozenset(press.buttons), press.event) for press in presses]
        self._deadman = frozenset(deadman)
        self._before: Set[str] = frozenset()

    def events(self, down: Set[str]) -> list[Event]:
        """What the buttons ask for that went down since the last call."""
        new = [e for need, e in self._presses if need <= down and not need <= self._before]
        self._before = down
        return new

    def deadman(self, down: Set[str]) -> bool:
        """Whether the deadman buttons are held."""
        return bool(self._deadman) and self._deadman <= down
