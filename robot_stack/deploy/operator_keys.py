"""What an operator's keys do: requests, questions before anything moves, the deadman switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from robot_stack.deploy.held_key import HeldKey
from robot_stack.deploy.operator_link import OperatorLink

ARM_PATIENCE_S = 10.0
"""After the key for arming the deadman switch must be held within this [s]."""

_PLAIN = {"h": "hold", "s": "soft_stop", "d": "damp"}


@dataclass
class OperatorKeys:
    """Turns keys into requests.

    ``c`` and ``r`` ask back before anything can move. ``a`` waits for the deadman switch: a terminal repeats only the
    key that went down last, so that nobody can hold one key and press another. Any key but the deadman's lets it go.
    """

    link: OperatorLink
    """The robot."""

    key: HeldKey
    """The deadman key; used where there is no gamepad."""

    held: Callable[[], bool]
    """Whether the deadman switch is held, key or gamepad."""

    real: bool = True
    """Something real can move."""

    quitting: bool = False
    """The operator wants to end."""

    _then: Callable[[], object] | None = field(default=None, repr=False)
    _arm_until_s: float = -float("inf")

    def press(self, key: str, now_s: float) -> None:
        """A key came."""
        if key == " ":
            self.key.press(now_s)
            return
        self.key.let_go()
        if key in ("e", "E", "\x1b"):
            self._estop()
        elif self._then is not None:
            self._answer(key)
        elif key in _PLAIN:
            self.link.ask(_PLAIN[key])
        elif key == "c":
            self._confirm("connect: the robot will listen to this machine.", self._connect)
        elif key == "r":
            self._confirm("ready: the robot MOVES to its start pose. Is everybody clear of it?", self._ready)
        elif key == "a":
            self._arm_until_s = now_s + ARM_PATIENCE_S
            self.link.known.answer = f"arm: now hold {self.link.known.deadman}"
        elif key == "x":
            self.link.press_estop(False)
            self.link.ask("reset")
        elif key == "q":
            self._confirm("quit: the robot is stopped and released.", self._quit)

    def look(self, now_s: float) -> None:
        """Time passes: an arming that waits for the deadman switch, a connection that goes on."""
        seen = self.link.known.values.get("deadman") == "True"  # the robot refuses before it has seen it
        if now_s <= self._arm_until_s and self.held() and seen:
            self._arm_until_s = -float("inf")
            self.link.ask("arm")

    def _confirm(self, question: str, then: Callable[[], object]) -> None:
        if not self.real and then == self._connect:
            then()
            return
        self.link.known.question, self._then = question, then

    def _answer(self, key: str) -> None:
        then, self._then, self.link.known.question = self._then, None, ""
        if key in ("y", "Y") and then is not None:
            then()
        else:
            self.link.known.answer = "not done"

    def _estop(self) -> None:
        self._then, self.link.known.question = None, ""
        self._arm_until_s = -float("inf")
        self.link.press_estop(True)
        self.link.ask("estop")

    def _connect(self) -> None:
        """Configure the robot node, then activate it."""
        if self.link.known.lifecycle == "inactive":
            self.link.change("activate")
            return
        future = self.link.change("configure")
        if future is not None:
            future.add_done_callback(lambda done: self.link.change("activate") if done.result().success else None)

    def _ready(self) -> None:
        self.link.ask("ready")

    def _quit(self) -> None:
        self.quitting = True
