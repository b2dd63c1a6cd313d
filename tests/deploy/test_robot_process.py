"""The robot node as a real process, with a simulated Panda in it, real operators' messages and a real driver."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.hardware.ros.environment import ros_environment
from tests.deploy.ros_bench import DOMAIN, NAMESPACE, Bench

PANDA = {"robot": "panda", "task": "panda/drawer", "bus": "direct", "clock_speed": 0.5, "ready_speed": 0.5}


class Operator:
    """Hears and says what an operator does."""

    def __init__(self, bench: Bench) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus
        from sensor_msgs.msg import JointState, Joy
        from std_msgs.msg import Bool, String

        from robot_stack.hardware.ros.qos import latched, reliable

        self.bench, self.holds, self.beats = bench, False, 0
        bench.listen(String, "state", latched())
        bench.listen(Bool, "estopped", latched())
        bench.listen(String, "embodiment", latched())
        bench.listen(DiagnosticStatus, "status", reliable(10))
        for topic in ("observation", "joint_states", "asked", "sent"):
            bench.listen(JointState, topic, reliable(100))
        self._deadman = bench.node.create_publisher(Joy, "deadman", reliable(1))
        self._estop = bench.node.create_publisher(Bool, "emergency_stop", latched())
        bench.node.create_timer(0.04, self._beat)

    def _beat(self) -> None:
        from sensor_msgs.msg import Joy

        self.beats += 1
        if self.holds:
            message = Joy(buttons=[1])
            message.header.stamp.sec = self.beats
            self._deadman.publish(message)

    def press_estop(self, down: bool) -> None:
        from std_msgs.msg import Bool

        self._estop.publish(Bool(data=down))

    def change(self, transition: int, node: str = "robot") -> bool:
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.id = transition
        return self.bench.call(node, f"{node}/change_state", ChangeState, request).success

    def ask(self, service: str) -> Any:
        """A Trigger of the robot node."""
        return self.bench.call("robot", service)

    def wait_state(self, name: str) -> None:
        self.bench.until(lambda: self.bench.heard["state"] and self.bench.heard["state"][-1].data == name, name)

    def value(self, key: str) -> str:
        """Of the newest status; empty before the first."""
        newest = self.bench.heard["status"][-1:]
        return next((v.value for s in newest for v in s.values if v.key == key), "")

    def up(self) -> None:
        assert self.change(1) and self.change(3)  # configure, activate
        self.wait_state("IDLE")
        assert self.ask("ready").success
        self.wait_state("HOLD")

    def arm(self) -> None:
        self.holds = True
        self.bench.until(lambda: self.value("deadman") == "True", "the deadman switch")
        answer = self.ask("arm")
        assert answer.success, answer.message
        self.wait_state("ARMED")


@pytest.fixture
def operator(bench: Bench) -> Iterator[Operator]:
    yield Operator(bench)


def start_source(bench: Bench, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.chunk_source", "--ros-args", "-r", f"__ns:={NAMESPACE}"],
        env=ros_environment(domain=DOMAIN, discovery="localhost"),
        cwd=Path(__file__).resolve().parents[2],
        stdout=(folder / "source.log").open("w"),
        stderr=subprocess.STDOUT,
        text=True,
    )
    process.log = (folder / "source.log").open()  # type: ignore[attr-defined]
    bench.processes.append(process)
    return process


def first_joint(bench: Bench) -> float:
    return bench.heard["joint_states"][-1].position[0] if bench.heard["joint_states"] else 0.0


def test_from_start_to_respawn(bench: Bench, operator: Operator, tmp_path: Path) -> None:
    robot = bench.start("robot_process", "robot", PANDA, tmp_path)
    source = start_source(bench, tmp_path)
    operator.wait_state("UNCONFIGURED")
    assert not operator.ask("arm").success
    operator.up()
    assert "deadman" in operator.ask("arm").message

    # armed, a driver moves it; observations and actions have one stamp
    begin = first_joint(bench)
    operator.arm()
    bench.until(lambda: first_joint(bench) - begin > 0.1, "motion")
    sent = bench.heard["sent"][-1]
    stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in bench.heard["observation"]}
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) in stamps
    asked = next(m for m in reversed(bench.heard["asked"]) if m.header.stamp == sent.header.stamp)
    assert np.allclose(asked.position, sent.position)

    # the driver dies: the arm comes to rest, and after a while the robot is disarmed
    source.send_signal(signal.SIGKILL)
    operator.wait_state("HOLD")
    bench.until(lambda: still(bench), "rest")
    rest = first_joint(bench)
    assert not operator.ask("reset").success or bench.heard["state"][-1].data == "HOLD"

    # the deadman switch is let go: it holds, and taking it again does not arm
    operator.arm()
    operator.holds = False
    operator.wait_state("HOLD")
    operator.holds = True
    bench.until(lambda: operator.value("deadman") == "True", "the deadman switch")
    assert bench.heard["state"][-1].data == "HOLD"

    # emergency stop: latched, seen by late joiners, and not undone while the button is down
    operator.press_estop(True)
    operator.wait_state("ESTOP")
    late = Listener(bench)
    bench.until(lambda: late.heard == [True], "the latched emergency stop")
    assert "button" in operator.ask("reset").message
    operator.press_estop(False)
    bench.until(lambda: operator.value("estop_pressed") == "False", "the button up")
    assert "reset" in operator.ask("arm").message
    assert operator.ask("reset").success
    operator.wait_state("IDLE")
    assert abs(first_joint(bench) - rest) < 0.05

    # killed and started again it is unconfigured, whatever it was before and whoever holds the switch
    operator.ask("ready")
    operator.wait_state("HOLD")
    operator.arm()
    robot.kill()
    robot.wait()
    bench.heard["state"].clear()
    robot = bench.start("robot_process", "robot", PANDA, tmp_path)
    operator.wait_state("UNCONFIGURED")
    assert "activate" in operator.ask("arm").message
    assert [m.data for m in bench.heard["state"]] == ["UNCONFIGURED"]
    robot.send_signal(signal.SIGINT)
    assert robot.wait(60) == 0


class Listener:
    """A late joiner that listens for the emergency stop."""

    def __init__(self, bench: Bench) -> None:
        from std_msgs.msg import Bool

        from robot_stack.hardware.ros.qos import latched

        self.heard: list[bool] = []
        node = bench.make_node("late")
        node.create_subscription(Bool, "estopped", lambda m: self.heard.append(m.data), latched())


def still(bench: Bench) -> bool:
    joints = bench.heard["joint_states"][-5:]
    return len(joints) == 5 and max(abs(v) for m in joints for v in m.velocity) < 2e-3


def test_what_is_wrong_is_refused_with_the_reason(bench: Bench, operator: Operator, tmp_path: Path) -> None:
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter
    from std_msgs.msg import Bool

    from robot_stack.hardware.ros.qos import reliable

    wrong = bench.start("robot_process", "robot", {"robot": "panda", "clock_speed": 0.5}, tmp_path)
    misspelt = bench.start("robot_process", "robot", PANDA | {"robot": "pandda"}, tmp_path)
    assert wrong.wait(90) == 3
    assert "does not pass at another speed" in bench.said()
    assert misspelt.wait(90) == 3
    assert "did you mean 'panda'" in bench.said()

    robot = bench.start("robot_process", "robot", PANDA | {"disarm_after_s": 1000.0}, tmp_path)
    operator.up()
    bench.node.create_publisher(Bool, "emergency_stop", reliable(1))
    bench.until(lambda: "emergency_stop" in operator.value("topics"), "the mismatch")

    def put(**values: float) -> Any:
        request = SetParameters.Request()
        request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return bench.call("robot", "robot/set_parameters", SetParameters, request).results[0]

    assert put(max_chunk_age_s=0.5).successful
    assert "positive" in put(max_chunk_age_s=-1.0).reason
    assert not put(clock_speed=1.0).successful
    operator.arm()
    assert "ARMED" in put(max_chunk_age_s=0.7).reason

    bench.start("robot_process", "second", PANDA, tmp_path)
    assert not operator.change(1, "second")
    assert "another robot node is configured in this namespace" in bench.said()
    robot.send_signal(signal.SIGTERM)
    assert robot.wait(60) == 0
    assert "released: SOFT_STOP → UNCONFIGURED" in bench.said()
