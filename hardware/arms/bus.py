"""An arm behind ros2_control's controllers, as a joint bus."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.core.joint_bus import BusError, BusState, Obeys
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.arms.config import ArmConfig
from robot_stack.hardware.arms.joint_map import ArmJointMap
from robot_stack.hardware.arms.outputs import Output, make_gripper, make_output
from robot_stack.hardware.arms.stamp_count import StampCount
from robot_stack.hardware.ros.steady_timer import steady_timer

STALE_PERIODS = 5
"""After so many command periods without a command the arm is told to stay where it is."""


class ArmBus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus` on an rclpy node that somebody else spins.

    ros2_control's controllers have no time-out of their own. Here nothing that is sent reaches further than
    ``horizon_s`` ahead, so that a sender that dies leaves the arm at rest; and a timer of the node, which does not
    depend on the thread that writes, tells the arm to stay where it is when commands stop coming.

    Args:
        config: controllers and grippers.
        joint_names: every driven joint, in our order.
        node: an ``rclpy`` node; its executor runs in another thread.
        now: the process's clock [s].
        wait_s: how long :meth:`open` and :meth:`engage` wait for the robot [s].

    Raises:
        RobotStackError: if configuration and robot do not fit.
    """

    def __init__(
        self,
        config: ArmConfig,
        joint_names: Sequence[str],
        node: Any,
        now: Callable[[], float],
        wait_s: float = 10.0,
    ) -> None:
        self.config = config
        self.map = ArmJointMap(config, joint_names)
        self._node, self._now, self._wait_s = node, now, wait_s
        self._outputs: list[Output] = []
        self._grippers: list[Output] = []
        self._subscription: Any = None
        self._timer: Any = None
        self._heard = threading.Event()
        self._names: list[str] = []
        self._order = np.zeros(0, dtype=int)
        self._state: BusState | None = None
        self._trouble = ""
        self._count = StampCount()
        self._written_s: float | None = None
        self._stopped_by_timer = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every driven joint."""
        return self.map.joint_names

    @property
    def servo_hz(self) -> float:
        """How often commands are written [Hz]."""
        return self.config.command_hz

    @property
    def obeys(self) -> Obeys:
        """Positions alone: gains are the controllers'."""
        return "position"

    def open(self) -> None:
        """Subscribe, and wait for the first joint states.

        Raises:
            BusError: if none come, or joints are missing in them.
        """
        if self._subscription is not None:
            return
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import JointState

        self._subscription = self._node.create_subscription(
            JointState, self.config.joint_states, self._hear, qos_profile_sensor_data
        )
        self._outputs = [make_output(self._node, self.config, c, self._now) for c in self.config.controllers]
        self._grippers = [make_gripper(self._node, self.config, g, self._now) for g in self.config.grippers]
        if not self._heard.wait(self._wait_s):
            trouble = self._trouble or f"nothing on {self.config.joint_states!r}"
            self.close()
            raise BusError(
                f"no joint states of {self.config.robot!r}",
                got=f"{trouble} in {self._wait_s:g} s",
                remedy="start the driver and its joint_state_broadcaster, and check ROS_DOMAIN_ID and joint names",
            )

    def engage(self) -> None:
        """Wait until every controller listens; the arm is told to stay where it is.

        Raises:
            BusError: if a controller is not there.
        """
        deadline = time.monotonic() + self._wait_s
        while missing := self._not_listening():
            if time.monotonic() > deadline:
                raise BusError(
                    f"controllers of {self.config.robot!r} are not active",
                    got=", ".join(missing),
                    remedy="activate them: ros2 control switch_controllers --activate NAME",
                )
            time.sleep(0.02)
        state = self.read()
        if state is None:
            raise BusError(f"no joint states of {self.config.robot!r}")
        self._tell(state.joint_position)
        period_s = STALE_PERIODS / self.config.command_hz
        self._timer = self._timer or steady_timer(self._node, period_s, self._watch)

    def read(self) -> BusState | None:
        """The newest joint states, with what is wrong."""
        state = self._state
        faults = tuple(fault for output in (*self._outputs, *self._grippers) for fault in output.faults())
        if state is None or not (faults or self._trouble):
            return state
        trouble = (self._trouble,) if self._trouble else ()
        return BusState(
            state.time_s,
            state.sequence,
            state.joint_position,
            state.joint_velocity,
            state.joint_effort,
            faults=faults + trouble,
        )

    def write(self, command: JointCommand) -> None:
        """Tell every controller where to go."""
        self._written_s = self._now()
        self._stopped_by_timer = False
        self._tell(command.position)

    def release(self) -> None:
        """Stay at rest; position controllers hold by themselves."""
        self._written_s = None
        for output in self._outputs:
            output.halt()
        if self._state is not None and self._outputs:
            self._tell(self._state.joint_position)

    def close(self) -> None:
        """Stop listening."""
        for output in (*self._outputs, *self._grippers):
            output.close()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._outputs, self._grippers, self._timer, self._subscription = [], [], None, None
        self._heard.clear()

    def _tell(self, position: np.ndarray) -> None:
        for output, places in zip(self._outputs, self.map.of_controller, strict=True):
            output.send(position[places])
        for i, gripper in enumerate(self._grippers):
            gripper.send(np.array([self.map.gripper_number(i, position)]))

    def _not_listening(self) -> list[str]:
        named = [*self.config.controllers, *self.config.grippers]
        outputs = [*self._outputs, *self._grippers]
        return [c.name for c, output in zip(named, outputs, strict=True) if not output.listeners()]

    def _watch(self) -> None:
        """In the executor's thread: commands stopped coming."""
        written, state = self._written_s, self._state
        if written is None or state is None or self._stopped_by_timer:
            return
        if self._now() - written > STALE_PERIODS / self.config.command_hz:
            self._stopped_by_timer = True
            for output in self._outputs:
                output.halt()
            for output, places in zip(self._outputs, self.map.of_controller, strict=True):
                output.send(state.joint_position[places])

    def _hear(self, message: Any) -> None:
        """In the executor's thread."""
        now = self._now()
        try:
            if message.name != self._names:
                self._order, self._names = self.map.order(message.name), list(message.name)
            position = np.array(message.position, dtype=np.float64)[self._order]
            velocity = np.array(message.velocity, dtype=np.float64)[self._order] if message.velocity else None
            effort = np.array(message.effort, dtype=np.float64)[self._order] if message.effort else None
        except (RobotStackError, IndexError) as error:
            self._trouble = f"joint states cannot be read: {str(error).splitlines()[0]}"
            return
        sequence = self._count.of(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        self._trouble = ""
        ours = self.map.to_ours(position)
        rate = self._rate(ours, now) if velocity is None else self.map.to_ours(velocity, rate=True)
        load = np.zeros_like(ours) if effort is None else self.map.efforts(effort)
        self._state = BusState(now, sequence, ours, rate, load)
        self._heard.set()

    def _rate(self, position: np.ndarray, now: float) -> np.ndarray:
        """Velocities that a driver leaves out, from the last two positions."""
        last = self._state
        if last is None or now <= last.time_s:
            return np.zeros_like(position)
        return (position - last.joint_position) / (now - last.time_s)
