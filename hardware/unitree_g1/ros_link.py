"""The G1's topics over rclpy, as its own SDK uses them.

Fast DDS meets the robot's Cyclone DDS 0.10 only without type propagation, and on the robot's network interface: the
process must run under such a profile (:class:`robot_stack.hardware.ros.fast_dds.FastDdsProfile`) and with discovery in
the subnet. PyPI's ``cyclonedds`` is never used: version 11 has crashed Cyclone 0.10 peers.
"""

from __future__ import annotations

import os
import time
from typing import Any

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.ros.generate.messages import messages
from robot_stack.hardware.unitree_g1.link import CommandTopic
from robot_stack.hardware.unitree_g1.motion import Answer
from robot_stack.hardware.unitree_g1.raw_topics import RawReader, RosContext, raw_writer

STATE_TOPIC, BATTERY_TOPIC, TORSO_TOPIC = "/lowstate", "/lf/bmsstate", "/secondary_imu"
"""What the robot says."""

STATES = 4
"""How many states may wait."""

LOOK_S = 0.005
"""Between looks for a service's answer [s, real time]."""


def request_topic(service: str) -> str:
    """Where a service of the robot is asked."""
    return f"/api/{service}/request"


def response_topic(service: str) -> str:
    """Where it answers, to everybody."""
    return f"/api/{service}/response"


class RosLink:
    """Implements :class:`robot_stack.hardware.unitree_g1.link.Link`.

    Args:
        domain: ROS domain; ``None`` for the environment's.
        topic: where commands go.
    """

    def __init__(self, domain: int | None = 0, topic: CommandTopic = "lowcmd") -> None:
        self._domain, self._topic = domain, topic
        self._context: RosContext | None = None
        self._services: dict[str, tuple[Any, RawReader]] = {}
        # Request numbers are the asker's own; others listen to the same answers.
        self._count = (time.monotonic_ns() ^ os.getpid() << 40) & (1 << 60) - 1

    def open(self) -> None:
        """Connect."""
        if self._context is not None:
            return
        hg = messages("unitree_hg").msg
        context = RosContext("g1_bus", self._domain)
        try:
            self._states = RawReader(context, hg.LowState, STATE_TOPIC, STATES)
            self._battery = RawReader(context, hg.BmsState, BATTERY_TOPIC)
            self._publisher = raw_writer(context, hg.LowCmd, f"/{self._topic}")
        except BaseException:
            context.close()
            raise
        self._context = context
        # Discovery takes a moment: whoever asks later must already have been matched.
        self._service("motion_switcher")

    def states(self) -> list[bytes]:
        """What came since the last call."""
        self._opened()
        return self._states.take()

    def battery(self) -> bytes | None:
        """The newest ``BmsState``."""
        self._opened()
        came = self._battery.take()
        return came[-1] if came else None

    def send(self, data: bytes) -> None:
        """Publish a ``LowCmd``."""
        self._opened()
        try:
            self._publisher.publish(data)
        except Exception as error:  # of rclpy, several kinds
            raise BusError("a command could not be published", got=str(error)) from error

    def other_writers(self) -> int:
        """Publishers that discovery has seen, less our own."""
        return max(0, self._opened().node.count_publishers(f"/{self._topic}") - 1)

    def ask(self, service: str, api: int, parameter: str, wait_s: float) -> Answer | None:
        """Ask until it is answered: the first request may go out before the robot has found us.

        Args:
            service: its name.
            api: what is asked.
            parameter: JSON text.
            wait_s: for the answer [s, real time].
        """
        publisher, responses = self._service(service)
        end, again = time.monotonic() + wait_s, 0.0
        asked: set[int] = set()
        responses.take()
        while (now := time.monotonic()) < end:
            if now >= again:
                again = now + 1.0
                asked.add(self._request(publisher, api, parameter))
            for response in responses.take():
                identity = response.header.identity
                if identity.api_id == api and identity.id in asked:
                    return Answer(response.header.status.code, response.data)
            time.sleep(LOOK_S)
        return None

    def close(self) -> None:
        """Disconnect."""
        context, self._context = self._context, None
        self._services.clear()
        if context is not None:
            context.close()

    def _service(self, service: str) -> tuple[Any, RawReader]:
        context = self._opened()
        if service not in self._services:
            api = messages("unitree_api").msg
            self._services[service] = (
                raw_writer(context, api.Request, request_topic(service)),
                RawReader(context, api.Response, response_topic(service), 10, raw=False, reliable=True),
            )
        return self._services[service]

    def _request(self, publisher: Any, api: int, parameter: str) -> int:
        self._count += 1
        request = messages("unitree_api").msg.Request()
        request.header.identity.id, request.header.identity.api_id = self._count, api
        request.parameter = parameter
        publisher.publish(request)
        return self._count

    def _opened(self) -> RosContext:
        if self._context is None:
            raise BusError("the robot's topics are not open")
        return self._context
