"""Brings a simulated robot to where its driver drives it, with nobody at the keys: which request comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RETRY_S = 1.0
"""A request is repeated no sooner than this [real s]."""

Request = Literal["configure", "activate", "ready", "arm", "end", "fail", ""]
"""What is asked for next; ``end`` and ``fail`` end the operator, an empty string waits."""


@dataclass
class HandsFree:
    """Decides from what is known; asked again and again."""

    until: Literal["connected", "idle", "armed"] = "armed"
    """How far it goes."""

    duration_s: float = 0.0
    """It ends so long after the robot's first action [s]; 0: never."""

    _asked_s: float = -float("inf")
    _acted_s: float | None = None

    def next(self, lifecycle: str, state: str, driver_ready: bool, acted: bool, now_s: float) -> Request:
        """The next request.

        Args:
            lifecycle: of the robot node.
            state: of the robot.
            driver_ready: whether who drives it is.
            acted: whether it has followed an action.
            now_s: on the robot's clock [s].
        """
        if state in ("SOFT_STOP", "DAMPING", "ESTOP") and self.until == "armed":
            return "fail"
        if acted and self._acted_s is None:
            self._acted_s = now_s
        if self.duration_s and self._acted_s is not None and now_s - self._acted_s >= self.duration_s:
            return "end"
        wanted = self._wanted(lifecycle, state, driver_ready)
        if not wanted or now_s - self._asked_s < RETRY_S:
            return ""
        self._asked_s = now_s
        return wanted

    def _wanted(self, lifecycle: str, state: str, driver_ready: bool) -> Request:
        if lifecycle == "unconfigured":
            return "configure"
        if lifecycle == "inactive" and self.until != "connected":
            return "activate"
        if lifecycle == "active" and self.until == "armed":
            if state == "IDLE":
                return "ready"
            if state == "HOLD" and driver_ready:
                return "arm"
        return ""
