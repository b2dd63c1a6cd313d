"""The G1's robot process and emulator process, with a driver, over ROS 2 and the robot's own topics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.observation import Observation
from robot_stack.deploy.ros_node import reliable
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world
from tests.deploy.bundles import clumsy_bundle
from tests.deploy.ros_bench import Bench
from tests.deploy.test_robot_process import Operator

COMMON = {"robot": "g1", "task": "g1/button", "clock_speed": 0.2, "seed": 3}
ROBOT = {k: v for k, v in COMMON.items() if k != "seed"} | {"simulated": True, "start": "here"}

Decide = Callable[[Observation], np.ndarray]


class Driver:
    """Answers every observation with its action for the next quarter of a second."""

    def __init__(self, bench: Bench, decide: Decide) -> None:
        from sensor_msgs.msg import JointState
        from trajectory_msgs.msg import JointTrajectory

        self._bench, self._decide, self.count = bench, decide, 0
        self._chunk = bench.node.create_publisher(JointTrajectory, "action_chunk", reliable(1))
        bench.node.create_subscription(JointState, "observation", self._answer, reliable(100))

    def _answer(self, message: Any) -> None:
        from builtin_interfaces.msg import Duration
        from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

        heard = self._bench.heard
        if not heard["embodiment"] or not heard["state"] or heard["state"][-1].data != "ARMED":
            return
        robot = embodiment(self._bench)
        stamp = message.header.stamp
        seen = Observation(np.array(message.position), {}, stamp.sec + 1e-9 * stamp.nanosec, self.count)
        action = self._decide(seen).tolist()
        self.count += 1
        points = []
        for step in range(12):
            due = Duration(sec=0, nanosec=round(step * 1e9 / robot.control_hz))
            points.append(JointTrajectoryPoint(positions=action, time_from_start=due))
        chunk = JointTrajectory(joint_names=list(robot.action_names), points=points)
        chunk.header.stamp, chunk.header.frame_id = stamp, robot.fingerprint()
        self._chunk.publish(chunk)


def embodiment(bench: Bench) -> Embodiment:
    """As the robot process tells it."""
    return from_plain(Embodiment, json.loads(bench.until(lambda: bench.heard["embodiment"], "the embodiment")[-1].data))


def field(bench: Bench, name: str) -> np.ndarray:
    """A state field of the newest observation."""
    seen = bench.until(lambda: bench.heard["observation"], "an observation")[-1]
    return np.array(seen.position)[embodiment(bench).state_slices[name]]


def status(bench: Bench, start: str) -> dict[str, str]:
    """Of the newest status, what begins so."""
    return {v.key: v.value for m in bench.heard["status"][-1:] for v in m.values if v.key.startswith(start)}


def put(bench: Bench, **values: Any) -> Any:
    """Set parameters of the emulator."""
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    request = SetParameters.Request()
    request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    return bench.call("emulator", "emulator/set_parameters", SetParameters, request).results[0]


def test_from_chunks_to_the_robots_own_messages_and_back(bench: Bench, tmp_path: Path) -> None:
    bench.start("emulator_process", "emulator", COMMON, tmp_path)
    robot = bench.start("robot_process", "robot", ROBOT, tmp_path)
    operator = Operator(bench)
    begun: list[np.ndarray] = []

    def reach(seen: Observation) -> np.ndarray:
        if not begun:
            begun.append(np.array(bench.heard["sent"][-1].position) if bench.heard["sent"] else np.zeros(14))
        goal = begun[0].copy()
        goal[:3] += (0.08, 0.03, 0.06)
        return goal

    operator.wait_state("UNCONFIGURED")
    operator.up()
    before = field(bench, "left_hand_position")
    operator.arm()
    bench.until(lambda: bench.heard["sent"], "the action that rests")
    Driver(bench, reach)
    bench.until(lambda: np.linalg.norm(field(bench, "left_hand_position") - before) > 0.08, "the hand's way")
    assert field(bench, "base_position")[2] > 0.7, "it stands"
    bench.until(lambda: float(status(bench, "readings.")["readings.battery_percent"]) == 80.0, "the battery")
    assert not status(bench, "faults.")

    # a motor reports an error: the robot is stopped, standing, and says which
    assert put(bench, faults=["motor_error=9"]).successful
    operator.wait_state("SOFT_STOP")
    bench.until(lambda: "right_knee_joint: motor error 0x10" in operator.value("latched"), "the reason")
    assert field(bench, "base_position")[2] > 0.7
    assert not operator.ask("reset").success, "the fault is there still"
    assert put(bench, faults=[""]).successful
    bench.until(lambda: not status(bench, "faults."), "the fault's end")
    assert operator.ask("reset").success

    # the process ends: damping is streamed, then silence, and the robot sinks
    robot.terminate()
    assert robot.wait(60) == 0, bench.said()


@pytest.mark.slow
def test_a_policy_bundle_reaches_the_motors_and_the_robot_stands(bench: Bench, tmp_path: Path) -> None:
    bundle = clumsy_bundle(tmp_path / "bundle", "g1/button")
    bench.start("emulator_process", "emulator", COMMON, tmp_path)
    bench.start("robot_process", "robot", ROBOT, tmp_path)
    bench.start("policy_process", "policy", {"policy": str(bundle), "clock_speed": 0.2}, tmp_path)
    operator = Operator(bench)
    operator.wait_state("UNCONFIGURED")
    operator.up()
    bench.until(lambda: "policy ready" in bench.said(), "the policy")  # importing torch may take a minute
    operator.arm()
    bench.until(lambda: int(operator.value("chunks_accepted") or 0) >= 5, "chunks of the policy")
    asked = bench.until(lambda: bench.heard["asked"][-100:], "its actions")
    assert np.isfinite([m.position for m in asked]).all()
    assert bench.heard["state"][-1].data == "ARMED" and not status(bench, "faults.")
    assert field(bench, "base_position")[2] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("base", ["tracked", "estimated"])
def test_the_scripted_operator_presses_the_button_over_ros(bench: Bench, tmp_path: Path, base: str) -> None:
    from sensor_msgs.msg import JointState

    bench.start("emulator_process", "emulator", COMMON, tmp_path)
    bench.start("robot_process", "robot", ROBOT | {"base": base}, tmp_path)
    operator = Operator(bench)
    bench.listen(JointState, "score", reliable(50))
    script = make_operator(make_robot_world(RobotWorldConfig(task="g1/button")))
    script.reset("press the button", 3)
    Driver(bench, lambda seen: script.act([seen]).actions[0])
    operator.wait_state("UNCONFIGURED")
    operator.up()
    operator.arm()
    bench.until(lambda: any(m.position[1] > 0.5 for m in bench.heard["score"][-50:]), "success")
