"""Publishes what a robot's loop reports, in a thread of its own, so that the loop never waits for ROS."""

from __future__ import annotations

import queue
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String

from robot_stack.core.config_json import canonical_json
from robot_stack.core.embodiment import Embodiment
from robot_stack.hardware.loop_reports import Acted, Changed, Observed, Report
from robot_stack.hardware.ros import robot_messages as messages
from robot_stack.hardware.ros.qos import latched, reliable
from robot_stack.hardware.state_machine import State

MOST_WAITING = 2000
"""So many reports may wait; more are dropped, and counted."""


class RobotPublisher:
    """The publishers of one robot node.

    Args:
        node: of rclpy, in the robot's namespace.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._observation = node.create_publisher(JointState, "observation", reliable(10))
        self._joints = node.create_publisher(JointState, "joint_states", reliable(10))
        self._asked = node.create_publisher(JointState, "asked", reliable(10))
        self._sent = node.create_publisher(JointState, "sent", reliable(10))
        self._interventions = node.create_publisher(DiagnosticStatus, "interventions", reliable(10))
        self._embodiment: Any = None
        self._state = node.create_publisher(String, "state", latched())
        self._estopped = node.create_publisher(Bool, "estopped", latched())
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self.robot = ""
        """The robot's name, once it is known."""
        self.dropped = 0
        """Reports that were not published since too many waited."""
        self._say_state(State.UNCONFIGURED)
        self._thread = threading.Thread(target=self._run, name="robot publisher", daemon=True)
        self._thread.start()

    def take(self, report: Report) -> None:
        """The loop's outbox."""
        if self._reports.qsize() > MOST_WAITING and not isinstance(report, Changed):
            self.dropped += 1
            return
        self._reports.put(report)

    def introduce(self, embodiment: Embodiment, joint_names: tuple[str, ...]) -> None:
        """Tell which robot this is; before the first report."""
        self.robot = embodiment.name
        self._observed = messages.numbers_message(embodiment.state_names)
        self._jointed = messages.numbers_message(joint_names)
        self._wanted = messages.numbers_message(embodiment.action_names)
        self._given = messages.numbers_message(embodiment.action_names)
        self._embodiment = self._node.create_publisher(String, "embodiment", latched())
        self._embodiment.publish(String(data=canonical_json(embodiment)))

    def withdraw(self) -> None:
        """The robot is no longer configured: nobody says any more that it is here. Idempotent."""
        if self._embodiment is not None:
            self._node.destroy_publisher(self._embodiment)
            self._embodiment = None

    def others(self) -> int:
        """How many other nodes say that they are the robot of this namespace, as far as was heard."""
        return max(0, self._node.count_publishers("embodiment") - (self._embodiment is not None))

    def close(self) -> None:
        """Publish what waits, and end; idempotent."""
        self._reports.put(None)
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            report = self._reports.get()
            if report is None:
                return
            try:
                self._publish(report)
            except Exception as error:  # a shut-down context, say: the loop goes on all the same
                if self._node.context.ok():
                    self._node.get_logger().error(f"not published: {error}")

    def _publish(self, report: Report) -> None:
        if isinstance(report, Observed):
            self._observation.publish(messages.fill_numbers(self._observed, report.vector, report.stamp_ns))
            self._joints.publish(messages.fill_joints(self._jointed, report.bus))
        elif isinstance(report, Acted):
            if report.asked is not None:
                self._asked.publish(messages.fill_numbers(self._wanted, report.asked, report.stamp_ns))
            self._sent.publish(messages.fill_numbers(self._given, report.sent, report.stamp_ns))
            if report.interventions:
                self._interventions.publish(
                    messages.interventions_message(report.interventions, report.stamp_ns, self.robot)
                )
        elif isinstance(report, Changed):
            self._say_state(report.state)
            self._node.get_logger().info(report.sentence)

    def _say_state(self, state: State) -> None:
        self._state.publish(String(data=state.value))
        self._estopped.publish(Bool(data=state is State.ESTOP))
