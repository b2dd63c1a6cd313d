"""A connection to a robot node from another process: its topics as newest values, its services as answers."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import RobotStackError
from robot_stack.hardware.ros.qos import latched, newest, reliable, set_stamp
from robot_stack.hardware.ros.steady_timer import steady_timer

T = TypeVar("T")


class LinkError(RobotStackError):
    """A robot node does not answer, or refuses."""


class RobotLink:
    """Listens to one robot's namespace in a thread of its own.

    Args:
        namespace: of the robot, for example ``/panda``.
        domain: ROS domain; ``None`` takes the environment's.
        wait_s: real time that anything may take to come [s].
    """

    def __init__(self, namespace: str, domain: int | None = None, wait_s: float = 30.0) -> None:
        self.wait_s = wait_s
        """Real time that anything may take to come [s]."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node: Any = rclpy.create_node("robot_link", context=self._context, namespace=namespace)
        """Of rclpy; spun by the link."""
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._changed = threading.Condition()
        self._newest: dict[str, Any] = {}
        self._heard_s: dict[str, float] = {}
        for kind, topic, quality in (
            (String, "embodiment", latched()),
            (String, "state", latched()),
            (JointState, "observation", newest()),
            (JointState, "score", reliable(10)),
            (DiagnosticStatus, "status", newest()),
            (DiagnosticStatus, "interventions", reliable(10)),
        ):
            self.listen(kind, topic, quality)
        self._chunks: Any = None
        self._deadman = self.node.create_publisher(Joy, "deadman", newest())
        self._beats = 0
        self.holds_deadman = False
        """Say that the deadman switch is held, in simulation."""
        steady_timer(self.node, 0.05, self._beat)
        self._thread = threading.Thread(target=self._spin, name="robot link", daemon=True)
        self._thread.start()

    def listen(self, kind: Any, topic: str, quality: Any) -> None:
        """Keep the newest message of one more topic."""

        def keep(message: Any) -> None:
            with self._changed:
                self._newest[topic], self._heard_s[topic] = message, time.monotonic()
                self._changed.notify_all()

        self.node.create_subscription(kind, topic, keep, quality)

    def newest(self, topic: str) -> Any:
        """The newest message of a topic, or ``None``."""
        return self._newest.get(topic)

    def age_s(self, topic: str) -> float:
        """Real time since the newest message of a topic [s]; infinity before the first."""
        heard_s = self._heard_s.get(topic)
        return float("inf") if heard_s is None else time.monotonic() - heard_s

    def wait(self, found: Callable[[], T | None], timeout_s: float | None = None) -> T | None:
        """Look with every message until something is found; ``None`` when time is over.

        Args:
            found: looks.
            timeout_s: real time [s]; :attr:`wait_s` when left out.
        """
        result: list[T | None] = [None]

        def look() -> bool:
            result[0] = found()
            return result[0] is not None

        with self._changed:
            self._changed.wait_for(look, self.wait_s if timeout_s is None else timeout_s)
        return result[0]

    @property
    def state(self) -> str:
        """Of the state machine; empty while it was not heard."""
        message = self.newest("state")
        return "" if message is None else message.data

    @property
    def why(self) -> str:
        """What the newest status says is wrong, in words."""
        message = self.newest("status")
        return "" if message is None else message.message

    def embodiment(self) -> Embodiment:
        """Of the robot.

        Raises:
            LinkError: if no robot says what it is.
        """
        message = self.wait(lambda: self.newest("embodiment"))
        if message is None:
            raise LinkError(
                "no robot node says which robot it is",
                where=self.node.get_namespace(),
                remedy="start the robot node and configure it; compare ROS_DOMAIN_ID",
            )
        return from_plain(Embodiment, json.loads(message.data), where="topic 'embodiment'")

    def wait_state(self, *states: str) -> str:
        """Wait until the robot is in one of some states.

        Raises:
            LinkError: if it does not come there.
        """
        found = self.wait(lambda: self.state if self.state in states else None)
        if found is None:
            raise LinkError(
                f"the robot did not come to {' or '.join(states)}", got=f"{self.state or 'nothing'} ({self.why})"
            )
        return found

    def ask(self, service: str, kind: Any = Trigger, request: Any = None) -> Any:
        """Call a service; asked again once, since a request to a server that was just found may be lost.

        Raises:
            LinkError: if there is no answer.
        """
        client = self.node.create_client(kind, service)
        try:
            for _ in range(2):
                if not client.wait_for_service(self.wait_s):
                    break
                future = client.call_async(kind.Request() if request is None else request)
                done = threading.Event()
                future.add_done_callback(lambda _, done=done: done.set())
                if done.wait(self.wait_s):
                    return future.result()
            raise LinkError(f"the service {service!r} does not answer", where=self.node.get_namespace())
        finally:
            self.node.destroy_client(client)

    def must(self, service: str) -> str:
        """Call a ``Trigger`` and return its sentence.

        Raises:
            LinkError: if it is refused.
        """
        answer = self.ask(service)
        if not answer.success:
            raise LinkError(f"the robot refused {service!r}", got=answer.message)
        return answer.message

    def offer_actions(self) -> None:
        """Become a driver: whoever only looks and asks must not count as one. Idempotent."""
        if self._chunks is None:
            self._chunks = self.node.create_publisher(JointTrajectory, "action_chunk", reliable(1))

    def send(self, chunk: JointTrajectory) -> None:
        """Publish an action chunk."""
        self.offer_actions()
        self._chunks.publish(chunk)

    def close(self) -> None:
        """End the thread and leave the domain; idempotent."""
        self.holds_deadman = False
        self._context.try_shutdown()
        self._thread.join(5.0)

    def _beat(self) -> None:
        self._beats += 1
        if self.holds_deadman:
            message = Joy(buttons=[1])
            set_stamp(message.header, time.monotonic_ns())
            self._deadman.publish(message)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
