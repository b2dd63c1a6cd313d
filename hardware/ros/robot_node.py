"""The robot node: a lifecycle node around one robot's loop. Configure opens the robot, activate engages it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import MessageInfo
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from robot_stack.core.clock import Clock, MonotonicClock
from robot_stack.core.errors import ConfigError
from robot_stack.hardware.loop_reports import LoopStatus, Report
from robot_stack.hardware.realtime import LoopThread, raise_threads
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.robot_parts import RobotParts
from robot_stack.hardware.ros import robot_messages as messages
from robot_stack.hardware.ros.driver_names import DriverNames
from robot_stack.hardware.ros.qos import latched, newest, reliable, set_stamp, stamp_ns
from robot_stack.hardware.ros.robot_publisher import RobotPublisher
from robot_stack.hardware.ros.steady_timer import steady_timer
from robot_stack.hardware.state_machine import REQUESTS, Event, State

ANSWER_S = 3.0
"""A request that the loop did not answer within this much real time has failed."""

ENGAGE_S = 120.0
"""A robot's own start-up takes no longer than this in real time."""

SETTLE_S = 2.0
"""A node that was just started gives others so much real time to be discovered before it takes a robot."""

ACTION_CHUNK = "action_chunk"
"""Where drivers send their actions."""

STATUS_HZ = 5.0
"""Of the topic ``status``."""


class RobotNode(LifecycleNode):
    """One robot on ROS; the topics and services are listed in docs/robot_node.md.

    Args:
        name: of the node.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.on_report: Callable[[Report], None] = lambda report: None
        """Told every report as well, in the loop's thread; returns at once."""
        self._make_parts: Callable[[], RobotParts] | None = None
        self._robot_clock: Clock = MonotonicClock()
        self._release_s, self._priority = 1.0, 0
        self._born_s = time.monotonic()
        self.loop: RobotLoop | None = None
        """While it is configured."""
        self.thread: LoopThread | None = None
        """While it is configured."""
        self._estop_pressed = False
        self._tracked: messages.TrackedReader | None = None
        self._mismatches: list[str] = []
        self._rivals: tuple[str, ...] = ()
        self._drivers = DriverNames(self, ACTION_CHUNK)
        self.publisher = RobotPublisher(self)
        self._listen()
        self._status = self.create_publisher(DiagnosticStatus, "status", reliable(10))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", reliable(10))
        steady_timer(self, 1.0 / STATUS_HZ, self._say_status)
        steady_timer(self, 1.0, self._say_diagnostics)
        for event in REQUESTS:
            self.create_service(Trigger, event.value, self._server(event))

    def prepare(
        self, make_parts: Callable[[], RobotParts], clock: Clock, release_s: float = 1.0, priority: int = 0
    ) -> None:
        """Say how the robot is made; before the node is configured.

        Args:
            make_parts: makes the robot; called by every configuration.
            clock: the robot's, the only one whose stamps count.
            release_s: on deactivation the robot is stopped for so long before it is released [s of robot time].
            priority: of the loop's thread, see :class:`~robot_stack.hardware.realtime.LoopThread`.
        """
        self._make_parts, self._robot_clock = make_parts, clock
        self._release_s, self._priority = release_s, priority

    # The lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the robot and open its line; nothing moves."""
        thread: LoopThread | None = None
        try:
            parts = self._make_robot()
            loop = RobotLoop(parts, self._report)
            thread = LoopThread(loop, self._robot_clock, loop.period_s, self._priority)
            thread.start()
            thread.call(parts.bus.open, ENGAGE_S)
        except Exception as error:
            self.get_logger().error(f"the robot was not configured: {error}")
            if thread is not None:
                thread.end()
            return TransitionCallbackReturn.FAILURE
        self.publisher.introduce(parts.embodiment, tuple(parts.bus.joint_names))
        self._tracked = messages.TrackedReader(parts.senses.tracked_fields)
        loop.inputs.hear_estop(self._estop_pressed)
        self.loop, self.thread = loop, thread
        for note in (*thread.notes, *raise_threads(self._priority - 1, thread.native_id)):
            self.get_logger().warning(note)
        return TransitionCallbackReturn.SUCCESS

    def _make_robot(self) -> RobotParts:
        if self._make_parts is None:
            raise ConfigError("no robot was given to the node")
        while not self.publisher.others() and time.monotonic() - self._born_s < SETTLE_S:
            time.sleep(0.05)  # until the other nodes are discovered
        if self.publisher.others():
            raise ConfigError(
                "another robot node is configured in this namespace; two must not write to one robot",
                where=self.get_namespace(),
                remedy="end the other one (one that was killed is forgotten within 20 s), or take another namespace",
            )
        return self._make_parts()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The robot's own start-up; it ends in ``IDLE``."""
        loop, thread = self.loop, self.thread
        assert loop is not None and thread is not None

        def engage() -> None:
            loop.engage(self._robot_clock.now())
            thread.running = True

        try:
            thread.call(engage, ENGAGE_S)
        except Exception as error:
            self.get_logger().error(f"the robot was not engaged: {error}")
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, keep it stopped for a while, and release it."""
        self._release()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the robot's line."""
        self.release_robot()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, release and close."""
        self.release_robot()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, release and close."""
        self.release_robot()
        return TransitionCallbackReturn.SUCCESS

    def release_robot(self) -> None:
        """Stop, release and close, whatever state the node is in; idempotent."""
        self._release()
        loop, thread = self.loop, self.thread
        self.loop = self.thread = None
        self.publisher.withdraw()
        if loop is None or thread is None:
            return
        try:
            thread.call(loop.parts.bus.close, 10.0)
        except Exception as error:
            self.get_logger().error(f"the robot's line was not closed: {error}")
        thread.end()

    def _release(self) -> None:
        loop, thread = self.loop, self.thread
        if loop is None or thread is None or not thread.running:
            return
        self._stop_for_a_while(loop)

        def disengage() -> None:
            thread.running = False
            loop.disengage(self._robot_clock.now())

        try:
            thread.call(disengage, 30.0)
        except Exception as error:
            self.get_logger().error(f"the robot was not released: {error}")

    def _stop_for_a_while(self, loop: RobotLoop) -> None:
        """Soft stop, and damping after it unless the robot holds on its own: as a stream, for as long as configured."""
        clock, until_s = self._robot_clock, self._robot_clock.now() + self._release_s
        if loop.state is State.IDLE:
            return
        loop.inputs.ask(Event.SOFT_STOP).wait(ANSWER_S)
        clock.sleep_until(clock.now() + 0.5 * self._release_s)
        if loop.parts.config.stop != "hold":
            loop.inputs.ask(Event.DAMP).wait(ANSWER_S)
        clock.sleep_until(until_s)

    # What is heard

    def _listen(self) -> None:
        topics: list[tuple[Any, str, Any, Any]] = [
            (JointTrajectory, ACTION_CHUNK, self._hear_chunk, reliable(2)),
            (Joy, "deadman", self._hear_deadman, newest()),
            (Bool, "emergency_stop", self._hear_estop, latched()),
            (JointState, "tracked", self._hear_tracked, newest()),
        ]
        for kind, topic, callback, quality in topics:
            events = SubscriptionEventCallbacks(incompatible_qos=self._incompatible(topic))
            raw = topic == ACTION_CHUNK  # so that what is too large costs no time, and Python's lock with it
            self.create_subscription(kind, topic, callback, quality, event_callbacks=events, raw=raw)

    def _incompatible(self, topic: str) -> Callable[[Any], None]:
        def note(event: Any) -> None:
            sentence = f"a publisher of {topic!r} has another quality of service and is not heard"
            if sentence not in self._mismatches:
                self._mismatches.append(sentence)
                self.get_logger().error(f"{sentence}: {event.last_policy_kind}")

        return note

    def _hear_chunk(self, message: bytes, info: MessageInfo) -> None:
        if self.loop is not None:
            driver = self._drivers.of_message(info)
            self.loop.inputs.hear_chunk(messages.chunk_of(message, driver))

    def _hear_deadman(self, message: Joy) -> None:
        if self.loop is not None:
            held = len(message.buttons) > 0 and message.buttons[0] == 1
            self.loop.inputs.hear_deadman(held, stamp_ns(message.header))

    def _hear_estop(self, message: Bool) -> None:
        self._estop_pressed = bool(message.data)
        if self.loop is not None:
            self.loop.inputs.hear_estop(self._estop_pressed)

    def _hear_tracked(self, message: JointState) -> None:
        if self.loop is not None and self._tracked is not None:
            tracked = self._tracked.read(message)
            if tracked is not None:
                self.loop.inputs.hear_tracked(tracked)

    def _server(self, event: Event) -> Callable[[Any, Any], Any]:
        def serve(request: Any, response: Any) -> Any:
            loop, thread = self.loop, self.thread
            if loop is None or thread is None or not thread.running:
                response.success, response.message = False, "the robot is not engaged (activate the node)"
                return response
            loop.chunks.drivers.known = self._drivers.present()
            asked = loop.inputs.ask(event)
            asked.wait(ANSWER_S)
            response.success, response.message = asked.accepted, asked.sentence
            if not asked.accepted:  # a change of state is told where it happens
                self.get_logger().info(asked.sentence)
            return response

        return serve

    # What is told

    def _report(self, report: Report) -> None:
        self.publisher.take(report)
        self.on_report(report)

    def status(self) -> tuple[LoopStatus, dict[str, object]]:
        """How the loop stands, and what the node knows besides."""
        loop, thread = self.loop, self.thread
        now_s = self._robot_clock.now()
        status = LoopStatus(time_s=now_s) if loop is None else loop.status(now_s)
        extra: dict[str, object] = {"reports_dropped": self.publisher.dropped}
        if thread is not None:
            extra |= {"system": "; ".join(thread.notes), "defects": thread.defects, "last_defect": thread.last_defect}
        if self._mismatches:
            extra["topics"] = "; ".join(self._mismatches)
        return status, extra

    def _say_status(self) -> None:
        status, extra = self.status()
        self._warn_of(status.rivals)
        self._status.publish(messages.status_message(status, self.publisher.robot, extra))

    def _warn_of(self, rivals: tuple[str, ...]) -> None:
        for rival in rivals:
            if rival not in self._rivals:
                self.get_logger().warning(f"{rival!r} sends actions as well; they are refused while another drives")
        self._rivals = rivals

    def _say_diagnostics(self) -> None:
        status, extra = self.status()
        told = messages.status_message(status, self.publisher.robot, extra)
        told.name = f"{self.get_fully_qualified_name()}: robot"
        message = DiagnosticArray(status=[told])
        set_stamp(message.header, self.get_clock().now().nanoseconds)
        self._diagnostics.publish(message)
