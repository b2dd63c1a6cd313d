"""The robot's motion switcher: which of its own motion controls is active, and how it is released.

A service without ROS's service protocol: a request and a response topic, ``/api/motion_switcher/request`` and
``/response``, with numbers for what is asked and JSON text for the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusError

CHECK, SELECT, RELEASE = 1001, 1002, 1003
"""Numbers of what can be asked of it."""

SERVICE = "motion_switcher"
"""Its name."""

PAUSE_S = 0.5
"""Between a release and the next look [s]."""

CODES = {
    7001: "wrong parameter",
    7002: "busy",
    7004: "no such mode",
    7005: "internal error",
    7006: "check failed",
    7007: "switch failed",
    7008: "release failed",
    7009: "configuration failed",
}
"""What its codes mean, from Unitree's documentation."""


@dataclass(frozen=True)
class Answer:
    """Of a service of the robot."""

    code: int
    """0 when all is well."""

    data: str
    """JSON text, or empty."""


class Asks(Protocol):
    """Carries requests to a service of the robot."""

    def ask(self, service: str, api: int, parameter: str, wait_s: float) -> Answer | None:
        """The answer; ``None`` when none came in time."""
        ...


def active_motion(link: Asks, wait_s: float) -> str:
    """Name of the motion control that is active; empty when there is none.

    Raises:
        BusError: if the robot does not answer, or nothing that can be understood.
    """
    answer = _ask(link, CHECK, "", wait_s)
    try:
        name = json.loads(answer.data)["name"]
    except (ValueError, TypeError, KeyError):
        name = None
    if not isinstance(name, str):
        raise BusError("the motion switcher's answer is not understood", got=answer.data[:200], where=SERVICE)
    return name


def release_motion(link: Asks, clock: Clock, wait_s: float) -> str:
    """Switch the robot's own motion control off; its joints go limp.

    Args:
        link: to the robot.
        clock: for pauses.
        wait_s: for the whole of it.

    Returns:
        Name of what was active; empty if nothing was.

    Raises:
        BusError: if the robot does not answer, or does not let go.
    """
    end_s, first = clock.now() + wait_s, ""
    while name := active_motion(link, wait_s):
        first = first or name
        if clock.now() >= end_s:
            raise BusError(
                f"the robot's own motion control {name!r} does not let go",
                where=SERVICE,
                remedy="switch to debug mode on the remote control (L2+R2, hanging or lying), then try again",
            )
        _ask(link, RELEASE, "", wait_s, may_fail=True)  # what counts is whether a name is left
        clock.sleep_until(clock.now() + PAUSE_S)
    return first


def _ask(link: Asks, api: int, parameter: str, wait_s: float, may_fail: bool = False) -> Answer:
    answer = link.ask(SERVICE, api, parameter, wait_s)
    if answer is None:
        raise BusError(
            "the robot's motion switcher does not answer",
            where=SERVICE,
            remedy="is the robot's computer up, and are we in its network and domain? A simulator without this service "
            "is driven with release_motion off",
        )
    if answer.code and not may_fail:
        raise BusError(
            "the motion switcher refused", where=SERVICE, got=f"{answer.code} ({CODES.get(answer.code, 'unknown')})"
        )
    return answer
