"""Who sends actions to a robot: heard lately, or known to be there. A robot obeys one, and is armed for one alone."""

from __future__ import annotations

MOST = 16
"""So many drivers are remembered; a flood of new names costs no memory."""


class DriverWatch:
    """Names of drivers. The loop's thread calls it; :attr:`known` may be set by any other."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self.known: tuple[str, ...] = ()
        """Drivers that are there by another account, silent ones included: whoever could send at any moment."""

    def hear(self, driver: str, now_s: float, timeout_s: float) -> None:
        """Somebody sent actions.

        Args:
            driver: who; a name that nobody else has.
            now_s: when [s].
            timeout_s: for how long that makes a driver of it [s].
        """
        if driver not in self._until_s and len(self._until_s) >= MOST:
            del self._until_s[min(self._until_s, key=self._until_s.__getitem__)]
        self._until_s[driver] = now_s + timeout_s

    def heard(self, now_s: float) -> tuple[str, ...]:
        """Who sent actions lately."""
        return tuple(name for name, until_s in self._until_s.copy().items() if now_s <= until_s)

    def others(self, driver: str, now_s: float) -> tuple[str, ...]:
        """Who sent actions lately, but for one."""
        return tuple(name for name in self.heard(now_s) if name != driver)

    def several(self, now_s: float) -> str:
        """Why the robot must not be armed: more than one driver, in words; empty where there is one or none."""
        everybody = tuple(dict.fromkeys((*self.known, *self.heard(now_s))))
        if len(everybody) < 2:
            return ""
        names = ", ".join(repr(name) for name in everybody)
        return f"{len(everybody)} drivers would send actions ({names}); end all but one"
