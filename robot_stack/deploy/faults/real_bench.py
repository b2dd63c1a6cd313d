"""The deployment's own processes around an emulated Panda, an operator's messages, and an ear at the motors' topic."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.config_json import canonical_json
from robot_stack.core.errors import RobotStackError
from robot_stack.deploy.introduction import Introduction, poll
from robot_stack.hardware.ros.environment import ros_environment
from robot_stack.hardware.ros.steady_timer import steady_timer
from robot_stack.sim.robots.panda import PANDA, VELOCITY

NAMESPACE = "/panda"
COMMAND_HZ = 100.0
"""Of the arm's configuration [Hz]."""

COMMANDS = "/panda_arm_controller/joint_trajectory"
"""Where the arm is told where to go."""

STEP_RAD = np.array(VELOCITY) / COMMAND_HZ
"""Largest step of a command, shape ``(7,)`` [rad]."""

WAIT_S = 120.0
"""Nothing is waited for longer [s]; a busy machine takes its time to start processes."""


class RealBench:
    """Robot, emulator and driver as processes; operator and ear as nodes of this one.

    Args:
        folder: for parameter files and logs.
        domain: ROS domain of its own.
    """

    def __init__(self, folder: Path, domain: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState, Joy
        from std_msgs.msg import Bool, String
        from trajectory_msgs.msg import JointTrajectory

        from robot_stack.hardware.ros.qos import latched, reliable

        self._folder, self._environment = folder, ros_environment(domain=domain, discovery="localhost")
        os.environ.update(self._environment)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: list[tuple[float, np.ndarray]] = []
        """What the arm was told: monotonic time [s] and positions, shape ``(7,)`` [rad]."""
        self.plan_end_s = 0.0
        """When the last action of the driver's newest chunk is meant for, monotonic [s]."""
        self.states: list[str] = []
        """States of the robot's state machine, in order."""
        self.velocity: dict[str, float] = defaultdict(float)
        """Of each joint, by its ROS name [rad/s]."""
        self.holds = False
        """Somebody holds the deadman switch."""
        self._beats = 0
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        node = rclpy.create_node("ear", context=self._context, namespace=NAMESPACE)
        self.node = node
        node.create_subscription(JointTrajectory, COMMANDS, self._hear_command, reliable(1000))
        node.create_subscription(JointTrajectory, "action_chunk", self._hear_chunk, reliable(100))
        node.create_subscription(String, "state", lambda m: self.states.append(m.data), latched())
        node.create_subscription(JointState, "/joint_states", self._hear_joints, reliable(10))
        self._deadman = node.create_publisher(Joy, "deadman", reliable(1))
        self._estop = node.create_publisher(Bool, "emergency_stop", latched())
        steady_timer(node, 0.04, self._beat)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    # processes

    def start(self, name: str, module: str, parameters: dict[str, Any]) -> None:
        """Start one of the deployment's processes as node ``name``."""
        file = self._folder / f"{name}.json"
        file.write_text(canonical_json({f"{NAMESPACE}/{name}": {"ros__parameters": parameters}}))
        words = ["-m", module, "--ros-args", "-r", f"__node:={name}", "-r", f"__ns:={NAMESPACE}"]
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words, "--params-file", str(file)],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start_robot(self) -> None:
        """The robot's process."""
        settings = {"robot": "panda", "task": "panda/drawer", "simulated": True, "start": "here"}
        self.start("robot", "robot_stack.deploy.robot_process", settings)

    def start_all(self) -> None:
        """Emulator, robot and driver, up to ``ARMED`` and moving."""
        self.start("emulator", "robot_stack.deploy.emulator_process", {"robot": "panda", "task": "panda/drawer"})
        self.start_robot()
        self.start("driver", "robot_stack.deploy.faults.real_driver", {})
        self.wait(lambda: "UNCONFIGURED" in self.states, "the robot's process")
        self.up()
        self.arm()
        count = len(self.commands)
        self.wait(lambda: len(self.commands) > count + 150, "commands")
        self.wait(lambda: self.moving, "motion")

    def up(self) -> None:
        """Configure, activate, to the start pose."""
        for transition in (1, 3):
            self.transition(transition)
        self.ask("ready", "HOLD")

    def arm(self) -> None:
        """Hold the deadman switch and arm."""
        self.holds = True
        self.ask("arm", "ARMED")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.processes[name].send_signal(number)

    # what is known

    @property
    def state(self) -> str:
        """The robot's state now."""
        return self.states[-1] if self.states else ""

    @property
    def moving(self) -> bool:
        """Whether the last commands moved."""
        recent = [position for _, position in self.commands[-6:]]
        return len(recent) == 6 and float(np.ptp(recent, axis=0).max()) > 1e-5

    def wait(self, true: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
        """Wait until something holds.

        Raises:
            RobotStackError: if it never does, with what the processes said.
        """
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise RobotStackError(f"{what} never came to be", where=self.state, got=self.said())
            time.sleep(0.002)

    def rested_s(self, since_s: float) -> float:
        """When the stream of commands came to rest after ``since_s``, both monotonic [s]; infinite if it did not."""
        late = [(t, p) for t, p in self.commands if t >= since_s - 0.1]
        moved = [b[0] for a, b in pairwise(late) if np.abs(b[1] - a[1]).max() > 1e-5]
        if moved and late and late[-1][0] - moved[-1] < 0.08:
            return float("inf")
        return max([since_s, *moved])

    def largest_step(self, since_s: float = 0.0) -> float:
        """Largest step between commands since then, as a share of its limit."""
        rows = np.array([p for t, p in self.commands if t >= since_s])
        return float((np.abs(np.diff(rows, axis=0)) / STEP_RAD).max()) if len(rows) > 1 else 0.0

    def said(self) -> str:
        """The last words of all processes."""
        logs = {name: (self._folder / f"{name}.log").read_text(errors="replace")[-600:] for name in self.processes}
        return "\n".join(f"[{name}] {text}" for name, text in logs.items())

    # operator

    def press_estop(self, down: bool) -> None:
        """The emergency stop button."""
        from std_msgs.msg import Bool

        self._estop.publish(Bool(data=down))

    def ask(self, service: str, state: str = "") -> bool:
        """Ask until it is obeyed, and wait for a state; without a state asked once, and whether it was obeyed."""
        from std_srvs.srv import Trigger

        end = time.monotonic() + WAIT_S
        while True:
            answer = self._call(service, Trigger, Trigger.Request())
            if not state:
                return bool(answer is not None and answer.success)
            if answer is not None and answer.success:
                self.wait(lambda: self.state == state, state)
                return True
            if time.monotonic() > end:
                raise RobotStackError(f"{service!r} was not obeyed", got=getattr(answer, "message", self.said()))
            time.sleep(0.1)

    def transition(self, number: int) -> None:
        """A transition of the lifecycle."""
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.id = number
        answer = self._call("robot/change_state", ChangeState, request)
        if answer is None or not answer.success:
            raise RobotStackError("the robot's process does not change its state", got=self.said())

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self._executor.shutdown(timeout_sec=5.0)
        self._context.try_shutdown()
        self._thread.join(5.0)

    def _call(self, service: str, kind: Any, request: Any) -> Any:
        client = self.node.create_client(kind, service)
        try:
            introduction = Introduction(self.node, "robot")
            try:
                if not (client.wait_for_service(WAIT_S) and introduction.made(WAIT_S, poll)):
                    return None
            finally:
                introduction.close()
            future = client.call_async(request)
            return future.result() if poll(future.done, 30.0) else None
        finally:
            self.node.destroy_client(client)

    def _hear_command(self, message: Any) -> None:
        self.commands.append((time.monotonic(), np.array(message.points[0].positions)))

    def _hear_chunk(self, message: Any) -> None:
        stamp, last = message.header.stamp, message.points[-1].time_from_start
        self.plan_end_s = stamp.sec + last.sec + 1e-9 * (stamp.nanosec + last.nanosec)

    def _hear_joints(self, message: Any) -> None:
        self.velocity.update(zip(message.name, message.velocity, strict=True))

    def _beat(self) -> None:
        from sensor_msgs.msg import Joy

        self._beats += 1
        if self.holds:
            message = Joy(buttons=[1])
            message.header.stamp.sec = self._beats
            self._deadman.publish(message)

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


JOINTS = tuple(f"panda_{name}" for name in PANDA.joint_names)
"""ROS names of the arm's joints."""
