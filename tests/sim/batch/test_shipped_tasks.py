"""Every task that is shipped is the same in a batch as alone, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.sim import robot_catalog
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.randomization import Randomization

STEPS = 12
SOME = Randomization(mass_scale=(0.9, 1.1), friction_scale=(0.7, 1.2), stiffness_scale=(0.9, 1.1), latency_steps=(0, 1))


@pytest.mark.parametrize("name", robot_catalog.TASKS)
def test_a_shipped_task_is_the_same_in_a_batch(name: str) -> None:
    spec, task = robot_catalog.robot_spec(name.partition("/")[0]), robot_catalog.robot_task(name)
    config = BatchConfig(threads=2, dump_folder="", autoreset="off", terminate_on_success=False)
    batch = BatchWorld(spec, task, 3, JointPositionMode, config, SOME)
    alone = MujocoRobot(spec, task, JointPositionMode, MujocoRobotConfig(dump_folder=""), SOME)
    assert batch.embodiment == alone.embodiment
    batch.reset([7, 8, 9])
    seen = [batch.reset([3, 4, 5])]
    rng = np.random.default_rng(0)
    hold = batch.hold_action
    actions = hold + 0.05 * rng.normal(size=(STEPS, *hold.shape))
    scores = []
    for action in actions:
        step = batch.step(action)
        assert not step.blow_ups
        seen.append(step.state)
        scores.append(np.column_stack([step.reward, step.success, step.terminated, step.milestones]))
        assert np.isfinite(step.reward).all() and (step.reward <= 1.0).all()
    for row, seed in ((0, 3), (2, 5)):
        states, marks = [alone.reset(seed).state], []
        for action in actions[:, row]:
            alone.command(action)
            states.append(alone.observe().state)
            score = task.score(alone.truth)
            marks.append(np.concatenate([[score.reward, score.success, score.failed], score.milestones]))
        np.testing.assert_array_equal(np.array(seen)[:, row], np.array(states))
        np.testing.assert_array_equal(np.array(scores)[:, row], np.array(marks))
