"""LocoMan's tasks on three feet and on the way: starts, physics, what counts as success, and their operators."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.sim.operators import locoman_press, locoman_toy_basket
from robot_stack.sim.render import import_mujoco
from tests.sim.robot_tasks.arm_bench import tally, world_of

mujoco = import_mujoco()
TASKS = ("locoman/toy-basket", "locoman/press")
VARIED = {
    "locoman/toy-basket": ("toy_position", "basket_position"),
    "locoman/press": ("button_position", "button_normal"),
    "locoman/walk": ("mark_position", "mark_direction"),
}


@pytest.mark.parametrize("task", VARIED)
def test_operators_succeed(task: str) -> None:
    got = tally(task, range(1))
    assert got.failed == () and got.unmet == ()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("task", VARIED)
def test_operators_succeed_on_a_hundred_seeds(task: str) -> None:
    assert len(tally(task, range(100)).failed) <= 10


@pytest.mark.parametrize("task", VARIED)
def test_starts_depend_on_the_seed_alone_and_vary(task: str) -> None:
    _, robot = world_of(task)
    slices = robot.embodiment.state_slices
    states = np.array([robot.reset(seed).state for seed in range(10)])
    again = np.array([robot.reset(seed).state for seed in reversed(range(10))])[::-1]
    np.testing.assert_array_equal(states, again)
    for name in VARIED[task]:
        assert (np.ptp(states[:, slices[name]][:, :2], axis=0) > 0.04).all(), name
    colours = [robot.reset(seed) and robot.model.geom_rgba.copy() for seed in range(3)]
    assert np.ptp(colours, axis=0).max() > 0.1


@pytest.mark.parametrize("task", TASKS)
def test_all_is_quiet_while_nobody_acts(task: str) -> None:
    _, robot = world_of(task)
    robot.reset(0)
    for _ in range(60):
        receipt = robot.command(robot.hold_action)
    assert receipt.interventions == ()
    assert np.abs(robot.data.qvel).max() < 0.05
    scores = robot.task.score(robot.truth)
    assert not scores.success and not scores.failed and 0.0 <= float(scores.reward) < 0.5


def test_a_toy_dropped_into_the_basket_counts_once_it_lies_still() -> None:
    _, robot = world_of("locoman/toy-basket")
    robot.reset(1)
    model, data = robot.model, robot.data
    start = int(model.jnt_qposadr[model.body_jntadr[robot.robot.body("toy")]])
    data.qpos[start : start + 3] = data.xpos[robot.robot.body("basket")] + (0.01, 0.0, 0.12)
    mujoco.mj_forward(model, data)
    assert not robot.task.score(robot.truth).success
    for _ in range(60):
        robot.command(robot.hold_action)
    assert robot.task.score(robot.truth).success


def test_the_button_needs_some_force_and_comes_back() -> None:
    _, robot = world_of("locoman/press")
    robot.reset(1)
    model, data, button = robot.model, robot.data, robot.robot.body("button")
    normal = data.xmat[button].reshape(3, 3)[:, 0]
    for force, pressed in ((1.5, False), (4.5, True), (0.0, False)):
        data.xfrc_applied[button, :3] = -force * normal
        for _ in range(10):
            robot.command(robot.hold_action)
        assert bool(robot.task.score(robot.truth).success) is pressed
    assert abs(float(robot.truth.joint_position("button"))) < 1e-3
    assert model.jnt_range[model.joint("button").id, 1] == pytest.approx(0.014)


@pytest.mark.parametrize("task", TASKS)
def test_a_fall_ends_the_episode(task: str) -> None:
    _, robot = world_of(task)
    robot.reset(0)
    base = robot.robot.base_qpos.start
    robot.data.qpos[base + 3 : base + 7] = np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0
    mujoco.mj_forward(robot.model, robot.data)
    scores = robot.task.score(robot.truth)
    assert scores.failed and not scores.success and float(scores.reward) == 0.0


@pytest.mark.parametrize("operator", [locoman_press, locoman_toy_basket])
def test_operators_want_locomans_modes(operator: object) -> None:
    world, _ = world_of("locoman/press", "joint_position")
    with pytest.raises(ConfigError, match="modes"):
        operator.make(world)  # type: ignore[attr-defined]


def test_a_mark_is_reached_when_the_robot_stands_over_it_and_looks_along_it() -> None:
    _, robot = world_of("locoman/walk")
    seen = robot.reset(2)
    slices = robot.embodiment.state_slices
    assert not robot.task.score(robot.truth).success
    mark, yaw = seen.state[slices["mark_position"]], np.arctan2(*seen.state[slices["mark_direction"]][::-1])
    base = robot.robot.base_qpos.start
    for turn, off, success in ((0.0, 0.0, True), (0.3, 0.0, False), (0.0, 0.15, False)):
        robot.data.qpos[base : base + 2] = mark[0] + off, mark[1]
        half = 0.5 * (yaw + turn)
        robot.data.qpos[base + 3 : base + 7] = np.cos(half), 0.0, 0.0, np.sin(half)
        mujoco.mj_forward(robot.model, robot.data)
        assert bool(robot.task.score(robot.truth).success) is success
        ahead, left = robot.task.state(robot.truth)[5:7]
        assert np.hypot(ahead, left) == pytest.approx(off, abs=1e-9)
