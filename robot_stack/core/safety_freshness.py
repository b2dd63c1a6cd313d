"""Tells a fresh message from a stale, repeated, frozen or overtaken one."""

from __future__ import annotations


class Freshness:
    """Judges messages of one source by their receive time and their sequence number.

    A message counts from the moment its sequence number was first received: one that comes again and again under new
    receive times grows old all the same. A message with a smaller number than the newest is out of order. Sources that
    do not number their messages are ordered by receive time.

    Args:
        timeout_s: a message older than this is stale [s]; ``None`` for never.
        early_s: a receive time may lie ahead of the tick by this much [s], for messages that come in during a tick.
    """

    def __init__(self, timeout_s: float | None, early_s: float) -> None:
        self._timeout_s = timeout_s
        self._early_s = early_s
        self._shown = "" if timeout_s is None else f"limit {timeout_s:g} s"
        self._newest: int | None = None
        self._received_s: float | None = None
        self._not_before_s: float | None = None

    def forget(self, not_before_s: float | None = None) -> None:
        """Begin again; messages received before ``not_before_s`` [s] stay stale."""
        self._newest = None
        self._received_s = None
        self._not_before_s = not_before_s

    def overtaken(self, time_s: float, sequence: int | None) -> str:
        """Why a message comes out of order, or an empty string."""
        if sequence is not None and self._newest is not None:
            return f"{sequence} after {self._newest}" if sequence < self._newest else ""
        if self._received_s is not None and time_s < self._received_s:
            return f"received {self._received_s - time_s:.3f} s before the newest"
        return ""

    def stale(self, time_s: float, sequence: int | None, now_s: float) -> str:
        """Why a message is too old, or an empty string; the message is not yet noted."""
        repeated = sequence is not None and sequence == self._newest and self._received_s is not None
        since_s = min(time_s, self._received_s) if repeated and self._received_s is not None else time_s
        if self._not_before_s is not None and not since_s >= self._not_before_s:
            return "received before the stop was cleared"
        if self._timeout_s is None:
            return ""
        age_s = now_s - since_s
        if -self._early_s <= age_s <= self._timeout_s:
            return ""
        if repeated and -self._early_s <= now_s - time_s <= self._timeout_s:
            return f"sequence {sequence} has not changed for {age_s:.3f} s, {self._shown}"
        return f"{age_s:.3f} s old, {self._shown}"

    def late(self, now_s: float) -> str:
        """Why the newest message that was noted is too old by now, or an empty string."""
        return "" if self._received_s is None else self.stale(self._received_s, None, now_s)

    def note(self, time_s: float, sequence: int | None) -> None:
        """Take a message as the newest of its source."""
        if sequence is None or sequence != self._newest or self._received_s is None:
            self._newest = sequence
            self._received_s = time_s
