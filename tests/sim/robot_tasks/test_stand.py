"""Standing: rewarded while up, failed when fallen, won at the end; for every robot with a free base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.robot_tasks.stand import Stand, g1_stand, locoman_stand
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.panda import PANDA
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

ALONE = BatchConfig(threads=1, dump_folder="")


def test_locoman_stands_under_its_position_loops_and_wins_at_the_end() -> None:
    task = Stand(LOCOMAN, duration_s=1.0)
    assert (task.name, task.horizon) == ("locoman/stand", 50)
    batch = BatchWorld(LOCOMAN, task, 2, None, ALONE)
    batch.reset([1, 2])
    home = np.concatenate([LOCOMAN.home, np.zeros(len(LOCOMAN.grippers))])
    for tick in range(50):
        step = batch.step(np.tile(home, (2, 1)))
        assert (step.reward > 0.3).all() and (step.reward <= 1.0).all()
        assert step.milestones[:, :2].all() and (step.milestones[:, 2] == (tick >= 24)).all()
        assert (step.success == (tick == 49)).all() and (step.terminated == step.success).all()


def test_a_falling_g1_has_failed_and_pushes_hasten_it() -> None:
    def falls_at(randomization: Randomization | None) -> int:
        robot = MujocoRobot(UNITREE_G1, g1_stand(), None, MujocoRobotConfig(dump_folder=""), randomization)
        robot.reset(3)
        home = np.concatenate([UNITREE_G1.home, np.zeros(len(UNITREE_G1.grippers))])
        for tick in range(200):
            robot.command(home)
            score = robot.task.score(robot.truth)
            if score.failed:
                assert score.reward == 0 and not score.success and not score.milestones.any()
                return tick
        return 200

    pushed = falls_at(Randomization(push_every_s=(0.1, 0.2), push_speed=0.6))
    assert 5 < pushed < falls_at(None) < 200


def test_starts_differ_in_heading_and_joints_within_limits() -> None:
    robot = MujocoRobot(LOCOMAN, locoman_stand(), None, MujocoRobotConfig(dump_folder=""))
    turned = []
    for seed in range(5):
        robot.reset(seed)
        q = robot.data.qpos[robot.robot.qpos]
        assert (q >= robot.robot.low).all() and (q <= robot.robot.high).all()
        turned.append(robot.data.qpos[robot.robot.base_qpos][3:].copy())
        assert np.linalg.norm(turned[-1]) == pytest.approx(1.0)
    assert len(np.unique(np.array(turned), axis=0)) == 5


def test_a_fixed_base_cannot_fall_or_be_pushed() -> None:
    with pytest.raises(ConfigError, match="free base"):
        Stand(PANDA)
    pushes = Randomization(push_every_s=(1.0, 2.0), push_speed=1.0)
    from robot_stack.sim.robot_tasks.panda_pick_place import PandaPickPlace

    with pytest.raises(ConfigError, match="cannot be pushed"):
        MujocoRobot(PANDA, PandaPickPlace(), None, MujocoRobotConfig(dump_folder=""), pushes)
    with pytest.raises(ConfigError, match="cannot be pushed"):
        BatchWorld(PANDA, PandaPickPlace(), 2, None, ALONE, replace(pushes))
