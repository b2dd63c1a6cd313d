"""Numbers for states that are told apart by the stamps of somebody else's clock."""

from __future__ import annotations

SET_BACK_NS = 500_000_000
"""A stamp that is older than the one before it by more than this is of a clock that was set back [ns]."""


class StampCount:
    """Numbers that grow with new stamps, stay with a repeated one, and fall with one that is late.

    The stamps are of the system's clock of whoever drives the arm. Where that is set back, by an hour or a second, the
    numbers go on: the states that follow are as new as ever.
    """

    def __init__(self) -> None:
        self._last_ns = self._shift_ns = self._counted = 0

    def of(self, stamp_ns: int) -> int:
        """The number of a state.

        Args:
            stamp_ns: as it came [ns]; 0 where the driver does not stamp: then every state is a new one.
        """
        if not stamp_ns:
            self._counted += 1
            return self._counted
        back_ns = self._last_ns - stamp_ns
        if back_ns > SET_BACK_NS:
            self._shift_ns += back_ns + 1
        self._last_ns = stamp_ns
        return stamp_ns + self._shift_ns
