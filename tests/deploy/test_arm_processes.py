"""Arms behind emulated ros2_control controllers, in real processes: from a policy bundle to the motors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.hardware.ros.qos import reliable
from tests.deploy.bundles import clumsy_bundle
from tests.deploy.ros_bench import Bench
from tests.deploy.test_robot_process import Operator

ARMS = [
    ("panda", "panda/drawer", "/panda_arm_controller/joint_trajectory", 7),
    pytest.param("aloha", "aloha/lift-tray", "/left/arm_controller/joint_trajectory", 6, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("robot", "task", "topic", "joints"), ARMS)
def test_a_policy_bundle_reaches_the_motors(
    bench: Bench, tmp_path: Path, robot: str, task: str, topic: str, joints: int
) -> None:
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter
    from trajectory_msgs.msg import JointTrajectory

    common = {"robot": robot, "task": task, "clock_speed": 0.3}
    bundle = clumsy_bundle(tmp_path / "bundle", task)
    bench.listen(JointTrajectory, topic, reliable(100))
    bench.start("emulator_process", "emulator", {**common, "seed": 3}, tmp_path)
    bench.start("robot_process", "robot", {**common, "simulated": True, "start": "here"}, tmp_path)
    bench.start("policy_process", "policy", {"policy": str(bundle), "clock_speed": 0.3}, tmp_path)
    operator = Operator(bench)
    operator.wait_state("UNCONFIGURED")
    operator.up()
    bench.until(lambda: "policy ready" in bench.said(), "the policy")
    operator.arm()
    bench.until(lambda: int(operator.value("chunks_accepted") or 0) >= 5, "chunks of the policy")
    first = np.array(bench.heard[topic][-1].points[0].positions)
    assert first.shape == (joints,)

    def moved() -> bool:
        return bool(np.abs(np.array(bench.heard[topic][-1].points[0].positions) - first).max() > 0.02)

    bench.until(moved, "motion at the controller")

    # joint states freeze under stamps that stand still: stopped, latched, and the reason is told
    def put(*faults: str) -> Any:
        request = SetParameters.Request(parameters=[Parameter("faults", value=list(faults)).to_parameter_msg()])
        return bench.call("emulator", "emulator/set_parameters", SetParameters, request).results[0]

    assert "did you mean" in put("frozen_state").reason
    assert put("frozen_states").successful
    operator.wait_state("SOFT_STOP")
    bench.until(lambda: "the robot's state" in operator.value("latched"), "the reason")
    assert put("").successful
    operator.holds = False
    bench.until(lambda: operator.ask("reset").success, "the reset")
    assert bench.heard["state"][-1].data == "HOLD"
