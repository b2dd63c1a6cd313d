"""LocoMan's robot process and emulator process, with a driver, over ROS 2, UDP and a pseudo-terminal."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.ros_node import reliable
from robot_stack.sim.robots.locoman import LOCOMAN
from tests.deploy.ros_bench import Bench
from tests.deploy.test_robot_process import Operator

MOVED = "1_FR_joint_1"
"""The joint that the driver turns."""


class Driver:
    """Ten times a second, a chunk that stands as at the start and unfolds the right manipulator by half a radian."""

    def __init__(self, bench: Bench) -> None:
        from trajectory_msgs.msg import JointTrajectory

        self._bench = bench
        self._chunk = bench.node.create_publisher(JointTrajectory, "action_chunk", reliable(1))
        bench.node.create_timer(0.1, self._offer)

    def _offer(self) -> None:
        from builtin_interfaces.msg import Duration
        from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

        heard = self._bench.heard
        if not heard["observation"] or not heard["embodiment"]:
            return
        robot = from_plain(Embodiment, json.loads(heard["embodiment"][-1].data))
        goal = [*(float(joint.home) for joint in LOCOMAN.joints), 0.0, 0.0]
        goal[LOCOMAN.driven_names.index(MOVED)] += 0.5
        points = []
        for step in range(25):
            due = Duration(sec=0, nanosec=round(step * 1e9 / robot.control_hz))
            points.append(JointTrajectoryPoint(positions=goal, time_from_start=due))
        chunk = JointTrajectory(joint_names=list(robot.action_names), points=points)
        chunk.header.stamp = heard["observation"][-1].header.stamp
        chunk.header.frame_id = robot.fingerprint()
        self._chunk.publish(chunk)


def _parameters(folder: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = json.dumps({"go1_port": port, "servo_port": str(folder / "servos")})
    return {"robot": "locoman", "task": "locoman/stand", "clock_speed": 0.25, "robot_parameters": own}


@pytest.mark.slow
def test_from_messages_to_packets_and_bytes(bench: Bench, tmp_path: Path) -> None:
    common = _parameters(tmp_path)
    bench.start("emulator_process", "emulator", common, tmp_path)
    robot = bench.start("robot_process", "robot", common | {"simulated": True, "mode": "joint_position"}, tmp_path)
    operator = Operator(bench)
    Driver(bench)
    operator.wait_state("UNCONFIGURED")
    bench.until(lambda: (tmp_path / "servos").is_symlink(), "the emulated servos' line")
    operator.up()
    joint = LOCOMAN.driven_names.index(MOVED)
    seen = bench.heard["joint_states"]
    assert seen[-1].name[joint] == MOVED
    begin = seen[-1].position[joint]
    operator.arm()
    bench.until(lambda: abs(seen[-1].position[joint] - begin - 0.5) < 0.1, "the manipulator's motion")
    assert not [v.key for v in bench.heard["status"][-1].values if v.key.startswith("faults.")]
    assert operator.ask("estop").success
    operator.wait_state("ESTOP")
    assert not operator.ask("arm").success

    # a robot process that dies leaves a robot that holds; its successor does not arm by itself
    robot.kill()
    robot.wait()
    bench.heard["state"].clear()
    bench.start("robot_process", "robot", common | {"simulated": True, "mode": "joint_position"}, tmp_path)
    operator.wait_state("UNCONFIGURED")


@pytest.mark.slow
def test_without_the_servos_line_nothing_is_engaged(bench: Bench, tmp_path: Path) -> None:
    common = _parameters(tmp_path)
    bench.start("robot_process", "robot", common | {"simulated": True, "mode": "joint_position"}, tmp_path)
    operator = Operator(bench)
    operator.wait_state("UNCONFIGURED")
    assert not operator.change(1)
    assert "there is no such serial port" in bench.said()
