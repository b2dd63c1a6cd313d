"""A batch does what single robots do, bit for bit, with and without randomisation, at any number of threads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.control.joint_modes import JointPositionMode, JointTorqueMode, JointVelocityMode
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.robots.spec import RobotSpec
from tests.sim.toy_arm import ToyReach, toy_spec
from tests.sim.toy_walker import ToyStand, walker_spec

QUIET = BatchConfig(threads=1, dump_folder="", autoreset="off", terminate_on_success=False)
SHAKEN = Randomization(
    mass_scale=(0.8, 1.2),
    payload_kg=(0.0, 0.3),
    friction_scale=(0.5, 1.5),
    stiffness_scale=(0.8, 1.2),
    damping_scale=(0.7, 1.3),
    latency_steps=(0, 3),
    state_noise=(("joint_position", 0.01), ("joint_velocity", 0.2)),
)
PUSHED = replace(SHAKEN, push_every_s=(0.05, 0.2), push_speed=0.5, push_turn=0.5)
MODES = [JointPositionMode, JointVelocityMode, JointTorqueMode]


def actions(world: BatchWorld, steps: int, scale: float = 0.4) -> np.ndarray:
    """Around standing still, now and then beyond limits; shape (steps, nsim, action_size)."""
    rng = np.random.default_rng(7)
    hold = world.hold_action
    wild = 1.0 + 9.0 * (rng.random((steps, world.nsim, 1)) < 0.1)
    return hold + scale * wild * rng.normal(size=(steps, *hold.shape))


def run_batch(world: BatchWorld, seeds: list[int], asked: np.ndarray) -> list[np.ndarray]:
    rows = [np.column_stack([world.reset(seeds), np.zeros((world.nsim, 3))])]
    for action in asked:
        step = world.step(action)
        assert not step.blow_ups
        rows.append(np.column_stack([step.state, step.reward, step.success, step.limited]))
    return rows


def run_single(spec: RobotSpec, task, mode, seed: int, asked: np.ndarray, randomization) -> list[np.ndarray]:
    robot = MujocoRobot(spec, task, mode, MujocoRobotConfig(dump_folder=""), randomization)
    rows = [np.concatenate([robot.reset(seed).state, [0, 0, 0]])]
    for action in asked:
        receipt = robot.command(action)
        score = task.score(robot.truth)
        rows.append(
            np.concatenate([robot.observe().state, [score.reward, score.success, len(receipt.interventions) > 0]])
        )
    return rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("randomization", [None, SHAKEN], ids=["same", "randomised"])
def test_every_row_is_a_single_robot_bit_for_bit(tmp_path: Path, mode: type, randomization) -> None:
    spec, task, seeds = toy_spec(tmp_path), ToyReach(), [11, 12, 13]
    batch = BatchWorld(spec, task, 3, mode, QUIET, randomization)
    batch.reset([5, 6, 7])
    asked = actions(batch, 25)
    got = np.array(run_batch(batch, seeds, asked))
    limited = 0
    for i, seed in enumerate(seeds):
        alone = np.array(run_single(spec, task, mode, seed, asked[:, i], randomization))
        np.testing.assert_array_equal(got[:, i], alone)
        limited += alone[:, -1].sum()
    assert 0 < limited < asked.shape[0] * 3


@pytest.mark.parametrize("persistent", [False, True])
def test_a_pushed_floating_robot_too(tmp_path: Path, persistent: bool) -> None:
    spec, task, seeds = walker_spec(tmp_path), ToyStand(), [1, 2, 3, 4]
    config = replace(QUIET, persistent=persistent)
    batch = BatchWorld(spec, task, 4, None, config, PUSHED)
    calm = BatchWorld(spec, task, 4, None, config, SHAKEN)
    batch.reset([5, 6, 7, 8])
    asked = actions(batch, 30, 0.1)
    got = np.array(run_batch(batch, seeds, asked))
    for i, seed in enumerate(seeds):
        alone = np.array(run_single(spec, task, None, seed, asked[:, i], PUSHED))
        np.testing.assert_array_equal(got[:, i], alone)
    assert not np.array_equal(got, np.array(run_batch(calm, seeds, asked)))


def test_threads_do_not_matter(tmp_path: Path) -> None:
    spec, task = toy_spec(tmp_path), ToyReach()
    results = []
    for threads in (1, 2, 3):
        world = BatchWorld(spec, task, 5, None, replace(QUIET, threads=threads), SHAKEN)
        world.reset(range(5))
        results.append(np.array(run_batch(world, list(range(5)), actions(world, 10))))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_what_an_episode_changed_does_not_reach_the_next(tmp_path: Path) -> None:
    world = BatchWorld(toy_spec(tmp_path), ToyReach(), 2, None, QUIET, SHAKEN)
    world.reset([1, 2])
    asked = actions(world, 5)
    first = np.array(run_batch(world, [1, 2], asked))
    run_batch(world, [9, 8], asked)
    np.testing.assert_array_equal(np.array(run_batch(world, [1, 2], asked)), first)
    swapped = np.array(run_batch(world, [2, 1], asked[:, ::-1]))
    np.testing.assert_array_equal(swapped[:, ::-1], first)


def test_bad_actions_and_sizes_are_told(tmp_path: Path) -> None:
    world = BatchWorld(toy_spec(tmp_path), ToyReach(), 2, None, QUIET)
    world.reset([1, 2])
    with pytest.raises(ShapeError, match="elbow"):
        world.step(np.zeros((2, 2)))
    bad = world.hold_action
    bad[1, 1] = np.nan
    before = np.array(world.robot.batch.state)
    with pytest.raises(NonFiniteError, match="elbow of simulation 1"):
        world.step(bad)
    np.testing.assert_array_equal(before, world.robot.batch.state)
    with pytest.raises(ShapeError, match="one seed per simulation"):
        world.reset([1])
    with pytest.raises(ConfigError, match="at least one"):
        BatchWorld(toy_spec(tmp_path), ToyReach(), 0)


def test_a_mode_with_a_memory_is_refused_by_name(tmp_path: Path) -> None:
    class HandPoseMode(JointPositionMode):
        servo_hz = 250.0

    with pytest.raises(ConfigError, match="JointPositionMode, JointVelocityMode or JointTorqueMode") as caught:
        BatchWorld(toy_spec(tmp_path), ToyReach(), 2, HandPoseMode)
    assert "HandPoseMode" in str(caught.value)


def test_an_ended_episode_wants_a_reset_when_none_comes_by_itself(tmp_path: Path) -> None:
    world = BatchWorld(toy_spec(tmp_path), ToyReach(), 2, None, replace(QUIET, horizon=2))
    world.reset([1, None], np.array([True, False]))
    with pytest.raises(ConfigError, match="never begun") as caught:
        world.step(world.hold_action)
    assert "simulations [1]" in str(caught.value)
    world.reset([1, 2])
    world.step(world.hold_action)
    step = world.step(world.hold_action)
    assert step.truncated.all() and not step.began.any()
    with pytest.raises(ConfigError, match="reset it first"):
        world.step(world.hold_action)
    state = world.reset([3, None], np.array([True, False]))
    np.testing.assert_array_equal(state[1], step.state[1])
    world.reset(mask=np.array([False, True]))
    assert world.seeds[0] == 3 and world.seeds[1] != 2
    assert not world.step(world.hold_action).ended.any()
