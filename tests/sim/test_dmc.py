"""The DeepMind Control Suite behind the contracts, bit for bit its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_stack.core.action import Receipt
from robot_stack.core.errors import ConfigError, NonFiniteError, UnknownNameError
from robot_stack.core.observation import check_observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Task
from robot_stack.sim.dmc import DmcConfig, DmcRobot, make_dmc
from robot_stack.sim.dmc_tasks import INSTRUCTIONS, split_name

DOGS = tuple(name for name in INSTRUCTIONS if name.startswith("dog-"))


def flat(observation: Any) -> np.ndarray:
    return np.concatenate([np.ravel(v) for v in observation.values()])


def robot_of(world: Any) -> DmcRobot:
    assert isinstance(world.robot, DmcRobot)
    return world.robot


def test_the_table_is_the_suite() -> None:
    from dm_control import suite

    assert [f"{domain}-{task}" for domain, task in suite.ALL_TASKS] == list(INSTRUCTIONS)


@pytest.mark.parametrize("name", [n for n in INSTRUCTIONS if n not in DOGS[1:]])
def test_trajectories_are_dm_controls_own(name: str) -> None:
    from dm_control import suite

    world = make_dmc(DmcConfig(task=name))
    robot, rng = robot_of(world), np.random.default_rng(0)
    size = robot.embodiment.action_size
    world.task.reset(robot, 5)
    for _ in range(8):
        robot.command(rng.uniform(-1, 1, size))
    first = world.task.reset(robot, 7)
    check_observation(first, robot.embodiment)
    raw = suite.load(*split_name(name), task_kwargs={"random": 0})
    raw.physics.__class__ = type("Quiet", (type(raw.physics),), {"contexts": None})
    raw.task._random = np.random.RandomState(7)
    np.testing.assert_array_equal(first.state, flat(raw.reset().observation))
    for _ in range(10):
        receipt = robot.command(rng.uniform(-1, 1, size))
        score = world.task.score(robot.observe(), receipt)
        step = raw.step(receipt.sent)
        np.testing.assert_array_equal(robot.observe().state, flat(step.observation))
        assert score.reward == step.reward
    assert not np.array_equal(robot.reset(8).state, first.state)
    assert robot.embodiment.control_hz == pytest.approx(1 / raw.control_timestep())
    assert world.task.horizon == (1000 if name.startswith("lqr") else raw._step_limit)


def test_fields_follow_the_observation_spec() -> None:
    world = make_dmc(DmcConfig(task="finger-turn_easy"))
    assert isinstance(world.robot, Robot)
    assert isinstance(world.task, Task)
    fields = {f.name: f.size for f in world.robot.embodiment.state}
    assert fields == {"position": 4, "velocity": 3, "touch": 2, "target_position": 2, "dist_to_target": 1}
    assert list(fields) == ["position", "velocity", "touch", "target_position", "dist_to_target"]
    assert world.robot.embodiment.action_names == ("control_0", "control_1")


def test_commands_are_clipped_to_the_actuators() -> None:
    robot = robot_of(make_dmc(DmcConfig(task="quadruped-walk")))
    robot.reset(0)
    low, high = robot.embodiment.action_limits
    receipt = robot.command(np.full(12, 3.0))
    np.testing.assert_allclose(receipt.sent, high, rtol=1e-6)
    assert len(receipt.interventions) == 12
    assert robot.command(0.5 * (low + high)).interventions == ()
    with pytest.raises(NonFiniteError):
        robot.command(np.full(12, np.inf))
    lqr = make_dmc(DmcConfig(task="lqr-lqr_2_1")).robot
    lqr.reset(0)
    assert lqr.command(np.array([50.0])).interventions == ()


def test_success_is_being_rewarded_for_a_quarter_of_the_time() -> None:
    world = make_dmc(DmcConfig(task="cartpole-balance", success_steps=20))
    robot = robot_of(world)
    world.task.reset(robot, 0)
    upright = [_step(world, robot, hold=True) for _ in range(30)]
    assert not any(s.success for s in upright[:19])
    assert upright[19].success
    assert upright[19].milestones == (True, True)
    fallen = [_step(world, robot, hold=False) for _ in range(200)]
    assert not fallen[-1].success
    world.task.reset(robot, 0)
    assert not _step(world, robot, hold=True).success


def _step(world: Any, robot: DmcRobot, *, hold: bool) -> Any:
    receipt = robot.command(np.zeros(1) if hold else np.ones(1))
    if hold:
        with robot.physics.reset_context():
            pass
        receipt = Receipt(receipt.sent)
    return world.task.score(robot.observe(), receipt)


def test_lqr_succeeds_at_rest() -> None:
    world = make_dmc(DmcConfig(task="lqr-lqr_2_1"))
    robot = robot_of(world)
    world.task.reset(robot, 1)
    assert not world.task.score(robot.observe(), robot.command(np.zeros(1))).success
    robot.physics.data.qpos[:], robot.physics.data.qvel[:] = 0, 0
    score = world.task.score(robot.observe(), Receipt(np.zeros(1)))
    assert score.success
    assert score.terminated


def test_images_by_camera_name() -> None:
    world = make_dmc(DmcConfig(task="cheetah-run", cameras=("side", "back"), image_height=40, image_width=60))
    robot = robot_of(world)
    first = world.task.reset(robot, 0)
    check_observation(first, robot.embodiment)
    for _ in range(10):
        robot.command(np.ones(6))
    seen = robot.observe()
    for name in ("side", "back"):
        assert seen.images[name].std() > 5
        assert not np.array_equal(seen.images[name], first.images[name])
    world.close()
    with pytest.raises(UnknownNameError, match="side"):
        make_dmc(DmcConfig(task="cheetah-run", cameras=("sid",)))


def test_the_terrain_of_every_episode_is_seen() -> None:
    robot = robot_of(make_dmc(DmcConfig(task="quadruped-escape", cameras=("global",))))
    first = robot.reset(0).images["global"]
    other = robot.reset(1).images["global"]
    assert (first != other).mean() > 0.05
    np.testing.assert_array_equal(robot.reset(0).images["global"], first)
    robot.close()


def test_wrong_names_and_robots_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="cartpole-swingup"):
        make_dmc(DmcConfig(task="cartpole-swing"))
    world = make_dmc(DmcConfig(task="pendulum-swingup"))
    with pytest.raises(ConfigError, match="made with"):
        world.task.reset(DmcRobot(DmcConfig(task="pendulum-swingup")), 0)
