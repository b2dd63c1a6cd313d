"""Episodes on a robot behind a real robot node: the same contract, starts and tasks as in simulation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import EpisodeAborted, NonFiniteError, ShapeError
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world
from tests.deploy.ros_bench import DOMAIN, LONG_S, NAMESPACE, Bench
from tests.deploy.test_robot_process import PANDA, Operator

SPEED = 0.5


@pytest.fixture
def robot(bench: Bench, tmp_path: Path) -> Iterator[Any]:
    from robot_stack.hardware.ros.ros_robot import RosRobot, RosRobotConfig

    bench.start("robot_process", "robot", PANDA | {"start": "here", "clock_speed": SPEED}, tmp_path)
    operator = Operator(bench)
    assert operator.change(1) and operator.change(3)
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    made = RosRobot(RosRobotConfig(NAMESPACE, DOMAIN, SPEED, hands_free=True, wait_s=LONG_S))
    yield made
    made.close()


def test_a_robot_on_ros_keeps_the_contract(robot: Any, bench: Bench) -> None:
    simulated = make_robot_world(RobotWorldConfig(task="panda/drawer")).robot
    assert robot.embodiment.fingerprint() == simulated.embodiment.fingerprint()
    for seed in (3, 4):
        first = robot.reset(seed)
        begin = simulated.reset(seed).state
        where = robot.embodiment.state_slices["joint_position"]
        assert np.allclose(first.state[where], begin[where], atol=2e-3)
    hold = np.append(first.state[where], 0.5)
    target = hold + np.array([0.2, *[0.0] * 7])
    sequences = []
    for step in range(60):
        receipt = robot.command(hold + (target - hold) * min(1.0, step / 20))
        assert receipt.sent.shape == (8,)
        sequences.append(robot.observe().sequence)
    assert all(a <= b for a, b in itertools.pairwise(sequences))
    assert robot.observe().state[where][0] - first.state[where][0] == pytest.approx(0.2, abs=0.03)
    assert robot.command(hold + 9.0).sent.max() <= robot.embodiment.action_limits[1].max()
    with pytest.raises(ShapeError):
        robot.command(np.zeros(3))
    with pytest.raises(NonFiniteError):
        robot.command(np.full(8, np.nan))
    robot.stop("enough")
    bench.until(lambda: robot.link.state in ("SOFT_STOP", "HOLD"), "a stop")
    with pytest.raises(EpisodeAborted, match="not armed"):
        robot.command(hold)
    robot.reset(3)  # and again
    assert robot.link.state == "ARMED"


@pytest.mark.slow
def test_a_scripted_operator_opens_the_drawer_over_ros(robot: Any) -> None:
    from robot_stack.core.clock import ScaledClock
    from robot_stack.hardware.ros.ros_task import RosTask
    from robot_stack.runtime.loop import run_episode

    world = make_robot_world(RobotWorldConfig(task="panda/drawer"))
    task = RosTask(robot, world.task.name, world.task.instruction, world.task.horizon)
    done = [
        run_episode(robot, make_operator(world), task, seed=seed, clock=ScaledClock(SPEED)).success for seed in range(4)
    ]
    assert sum(done) >= 3
