"""A key that a terminal only shows by repeating it, as a switch that is held or not."""

from __future__ import annotations

import math

REPEAT_S = 0.25
"""Keys repeat at 20 Hz and more; one that has begun to repeat and is silent for so long was let go [s]."""


class HeldKey:
    """Terminals tell that a key went down and, after a pause, repeat it while it is held; they do not tell its end.

    Args:
        first_pause_s: longest pause before the first repetition; a key that was tapped counts as held for so long [s].
    """

    def __init__(self, first_pause_s: float) -> None:
        self._first_pause_s = first_pause_s
        self._last_s = -math.inf
        self._repeats = False

    def press(self, now_s: float) -> None:
        """The key came."""
        self._repeats = self.held(now_s)
        self._last_s = now_s

    def let_go(self) -> None:
        """Another key came: the terminal repeats this one no more."""
        self._last_s, self._repeats = -math.inf, False

    def held(self, now_s: float) -> bool:
        """Whether it counts as held."""
        return now_s - self._last_s <= (REPEAT_S if self._repeats else self._first_pause_s)


class JoyButton:
    """A gamepad's button; messages with changing stamps keep it held.

    Args:
        button: which one, counted from 0.
        timeout_s: without a message for so long it counts as let go: the gamepad was unplugged [s].
    """

    def __init__(self, button: int, timeout_s: float = 0.25) -> None:
        self._button, self._timeout_s = button, timeout_s
        self._held, self._stamp, self._heard_s = False, -1, -math.inf

    def hear(self, buttons: list[int], stamp_ns: int, now_s: float) -> None:
        """A message came; one that repeats a stamp says nothing new."""
        held = len(buttons) > self._button and buttons[self._button] == 1
        if stamp_ns != self._stamp:
            self._stamp, self._heard_s = stamp_ns, now_s
            self._held = held
        self._held &= held

    def held(self, now_s: float) -> bool:
        """Whether it is held."""
        return self._held and now_s - self._heard_s <= self._timeout_s
