"""ALOHA's tasks: starts, physics, what counts as success, and their operators."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.seeding import episode_seed
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import make_operator
from tests.sim.robot_tasks.arm_bench import (
    check_batch,
    check_impact,
    check_rest,
    check_starts,
    free_speeds,
    tally,
    world_of,
)

mujoco = import_mujoco()
TASKS = ("aloha/hand-over", "aloha/lift-tray")
SIZES = {"aloha/hand-over": ("bar_half_length",), "aloha/lift-tray": ()}
THINGS = {"aloha/hand-over": ("bar",), "aloha/lift-tray": ("tray", "carton")}


@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_without_being_corrected(task: str) -> None:
    got = tally(task, range(2))
    assert got.failed == () and got.unmet == () and got.interventions == 0


@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_with_wavering_hands(task: str) -> None:
    assert tally(task, range(20, 22), noise_std=0.002).failed == ()


@pytest.mark.parametrize("task", TASKS)
def test_operators_answer_in_hand_poses_too(task: str) -> None:
    assert tally(task, range(30, 31), mode="hand_pose").failed == ()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_on_a_hundred_seeds(task: str) -> None:
    assert len(tally(task, range(100)).failed) <= 5


@pytest.mark.parametrize("task", TASKS)
def test_everything_is_at_rest_at_the_start(task: str) -> None:
    check_rest(task, range(3))


@pytest.mark.parametrize("task", TASKS)
def test_starts_depend_on_the_seed_alone_and_vary(task: str) -> None:
    check_starts(task, range(12), SIZES[task])
    _, robot = world_of(task)
    slices = robot.embodiment.state_slices
    states = np.array([robot.reset(seed).state for seed in range(12)])
    for thing in THINGS[task]:
        place, turn = states[:, slices[f"{thing}_position"]], states[:, slices[f"{thing}_rotation"]]
        assert (np.ptp(place[:, :2], axis=0) > (0.03, 0.08)).all()
        assert np.ptp(turn[:, 1]) > 0.2


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_sees_and_scores_the_same(task: str) -> None:
    check_batch(task)


@pytest.mark.parametrize("task", TASKS)
def test_things_rest_in_the_hands_at_the_end(task: str) -> None:
    """After the operator is done, what it holds moves by less than 1 mm/s, and the goal still holds."""
    world, robot = world_of(task)
    operator = make_operator(world)
    seed = episode_seed("collect", 7)
    observation = world.task.reset(robot, seed)
    operator.reset("", seed)
    deepest = 0.0
    for _ in range(world.task.horizon):
        robot.command(operator.act([observation]).actions[0])
        observation = robot.observe()
        deepest = min(deepest, *(c.dist for c in robot.data.contact))
    assert (free_speeds(robot) < 1e-3).all()
    assert robot.task.score(robot.truth).success
    assert deepest > -2e-3


@pytest.mark.parametrize(("task", "thing"), [("aloha/hand-over", "bar"), ("aloha/lift-tray", "carton")])
def test_things_dropped_on_the_table_stay_above_it(task: str, thing: str) -> None:
    check_impact(task, thing, (0.0, -0.24))


def test_a_bar_that_lies_there_or_is_held_by_both_is_not_handed_over() -> None:
    world, robot = world_of("aloha/hand-over")
    operator = make_operator(world)
    seed = episode_seed("collect", 0)
    observation = world.task.reset(robot, seed)
    operator.reset("", seed)
    seen = []
    for _ in range(world.task.horizon):
        robot.command(operator.act([observation]).actions[0])
        observation = robot.observe()
        scores = robot.task.score(robot.truth)
        seen.append((*scores.milestones.tolist(), bool(scores.success)))
        if scores.milestones[3]:
            assert not scores.success  # both hold it
        if scores.success:
            break
    order = [[row[i] for row in seen].index(True) for i in range(5)]
    assert order == sorted(order)
    assert len({tuple(row) for row in seen}) >= 5


def test_a_tray_without_its_carton_is_lost() -> None:
    _, robot = world_of("aloha/lift-tray")
    robot.reset(3)
    joint = robot.model.joint("carton_free")
    robot.data.qpos[joint.qposadr[0] + 2] -= 0.2
    mujoco.mj_kinematics(robot.model, robot.data)
    assert robot.task.score(robot.truth).failed
