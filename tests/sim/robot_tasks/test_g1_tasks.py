"""The G1's tasks: starts, physics, what counts as success, and their operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import episode_seed
from robot_stack.core.world import World
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.operators.g1_script import Stance
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world, robot_task, tasks_of
from robot_stack.sim.robot_tasks.g1_button import TRAVEL_M
from robot_stack.sim.robot_tasks.g1_hall import fingertips, hands_off_box, has_fallen
from robot_stack.sim.robot_tasks.workbench import yaw_quaternion
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

mujoco = import_mujoco()
TASKS = ("g1/button", "g1/shelf", "g1/carry")
BOXES = TASKS[1:]
_WORLDS: dict[str, World] = {}


def world_of(task: str) -> tuple[World, MujocoRobot]:
    """One world a task for all tests: every test begins with a reset, which undoes all."""
    if task not in _WORLDS:
        _WORLDS[task] = make_robot_world(RobotWorldConfig(task=task, dump_folder=""))
    world = _WORLDS[task]
    assert isinstance(world.robot, MujocoRobot)
    return world, world.robot


def failures(task: str, seeds: range, noise_std: float = 0.0) -> list[int]:
    world, robot = world_of(task)
    operator = make_operator(world, noise_std)
    failed = []
    for i in seeds:
        result = run_episode(world.robot, operator, world.task, seed=episode_seed("collect", i))
        assert not has_fallen(robot.truth)
        if not result.success:
            failed.append(i)
    return failed


def watch(task: str, seed: int, look: Callable[[MujocoRobot, int], None], after: int = 0) -> int | None:
    """Run the operator until so many steps after success; returns the step of success."""
    world, robot = world_of(task)
    operator = make_operator(world)
    observation = world.task.reset(robot, seed)
    operator.reset("", seed)
    done = None
    for step in range(world.task.horizon):
        assert not robot.command(operator.act([observation]).actions[0]).interventions
        observation = robot.observe()
        look(robot, step)
        if done is None and robot.task.score(robot.truth).success:
            done = step
        if done is not None and step >= done + after:
            break
    return done


def test_the_catalog_lists_them() -> None:
    assert set(TASKS) <= set(tasks_of("g1"))


@pytest.mark.parametrize("task", TASKS)
def test_the_operator_succeeds_by_way_of_all_milestones_and_does_no_harm(task: str) -> None:
    """Milestones come in order, nothing sinks into anything, the feet stay where they are, and nothing flies."""
    seen: list[list[bool]] = []
    deepest, slipped, fastest, feet = 0.0, 0.0, 0.0, np.zeros(0)

    def look(robot: MujocoRobot, step: int) -> None:
        nonlocal deepest, slipped, fastest, feet
        scores = robot.task.score(robot.truth)
        assert not scores.failed and 0.0 <= scores.reward <= 1.0
        seen.append(scores.milestones.tolist())
        now = np.concatenate([robot.data.site(f"{side}_foot").xpos for side in ("left", "right")])
        feet = now if step == 0 else feet
        slipped = max(slipped, float(np.abs(now - feet).max()))
        deepest = min(deepest, *(c.dist for c in robot.data.contact))
        if task in BOXES:
            fastest = max(fastest, float(np.linalg.norm(robot.truth.v_world_free("box"))))

    assert watch(task, episode_seed("collect", 0), look, after=25) is not None
    first = [[row[i] for row in seen].index(True) for i in range(len(seen[0]))]
    assert first == sorted(first)
    assert deepest > -2e-3
    assert slipped < 0.01
    assert fastest < 1.0


@pytest.mark.parametrize("task", TASKS)
def test_the_operator_succeeds_with_wavering_hands(task: str) -> None:
    assert failures(task, range(20, 21), noise_std=0.003) == []


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_on_a_hundred_seeds(task: str) -> None:
    assert len(failures(task, range(100))) <= 10


@pytest.mark.parametrize("task", TASKS)
def test_everything_is_at_rest_at_the_start(task: str) -> None:
    """Hands and feet stay, while elbows and knees go to where they like to be; nothing else moves."""
    _, robot = world_of(task)
    robot.reset(1)
    assert min((c.dist for c in robot.data.contact), default=0.0) > -1e-4
    sites = ("left_hand", "right_hand", "left_foot", "right_foot")
    before, places = robot.data.qpos.copy(), np.array([robot.data.site(name).xpos for name in sites])
    for _ in range(40):
        assert not robot.command(robot.hold_action).interventions
    scores = robot.task.score(robot.truth)
    assert not scores.success and not scores.failed and not scores.milestones.any()
    assert np.abs(np.array([robot.data.site(name).xpos for name in sites]) - places).max() < 0.01
    if task in BOXES:
        where = int(robot.model.joint("box_free").qposadr[0])
        assert np.abs(robot.data.qpos - before)[where : where + 7].max() < 1e-3
        assert np.linalg.norm(robot.truth.v_world_free("box")) < 1e-3
    else:
        assert abs(robot.truth.joint_position("button")) < 5e-4  # its spring presses it against the stop


@pytest.mark.parametrize(
    ("task", "field", "least"),
    [
        ("g1/button", "button_position", (0.03, 0.25, 0.12)),
        ("g1/button", "button_rotation", (0.05, 0.3, 0.3)),
        ("g1/shelf", "box_position", (0.02, 0.06, 0.03)),
        ("g1/shelf", "box_half_size", (0.01, 0.02, 0.01)),
        ("g1/shelf", "shelf_position", (0.02, 0.08, 0.06)),
        ("g1/carry", "box_position", (0.03, 0.4, 0.03)),
        ("g1/carry", "box_half_size", (0.01, 0.02, 0.01)),
        ("g1/carry", "mat_position", (0.03, 0.4, 0.03)),
    ],
)
def test_starts_depend_on_the_seed_alone_and_vary(task: str, field: str, least: tuple[float, ...]) -> None:
    _, robot = world_of(task)
    states = np.array([robot.reset(seed).state for seed in range(12)])
    again = np.array([robot.reset(seed).state for seed in reversed(range(12))])[::-1]
    np.testing.assert_array_equal(states, again)
    rows = states[:, robot.embodiment.state_slices[field]][:, :3]
    assert (np.ptp(rows, axis=0) > least).all()
    joints = states[:, robot.embodiment.state_slices["joint_position"]]
    assert (joints >= robot.robot.low[:29]).all() and (joints <= robot.robot.high[:29]).all()


@pytest.mark.parametrize("task", BOXES)
def test_boxes_weigh_and_look_differently(task: str) -> None:
    _, robot = world_of(task)
    masses, colours = [], []
    for seed in range(12):
        robot.reset(seed)
        masses.append(robot.model.body_mass[robot.robot.body("box")])
        colours.append(robot.model.geom_rgba[robot.robot.geom("box")].copy())
    assert np.ptp(masses) > 0.8 and min(masses) > 0.39 and max(masses) < 2.01
    assert len(np.unique(np.array(colours), axis=0)) >= 4


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_sees_and_scores_the_same(task: str) -> None:
    """Bit for bit, in joint positions: whole-body control does not run in batches."""
    quiet = BatchConfig(threads=1, dump_folder="", autoreset="off", terminate_on_success=False)
    batch = BatchWorld(UNITREE_G1, robot_task(task), 2, JointPositionMode, quiet)
    states = [batch.reset([3, 4])]
    wiggle = 0.02 * np.random.default_rng(1).normal(size=(4, 2, batch.hold_action.shape[-1]))
    actions = batch.hold_action + wiggle
    steps = [batch.step(action) for action in actions]
    alone = MujocoRobot(UNITREE_G1, robot_task(task), JointPositionMode, MujocoRobotConfig(dump_folder=""))
    for i, seed in enumerate((3, 4)):
        np.testing.assert_array_equal(alone.reset(seed).state, states[0][i])
        for step, action in zip(steps, actions[:, i], strict=True):
            alone.command(action)
            scores = alone.task.score(alone.truth)
            np.testing.assert_array_equal(alone.observe().state, step.state[i])
            assert float(scores.reward) == step.reward[i] and bool(scores.success) == step.success[i]
            np.testing.assert_array_equal(scores.milestones, step.milestones[i])


def test_a_button_pressed_by_no_hand_or_not_far_enough_is_not_pressed() -> None:
    _, robot = world_of("g1/button")
    robot.reset(0)
    where = int(robot.model.joint("button").qposadr[0])
    robot.data.qpos[where] = TRAVEL_M
    mujoco.mj_forward(robot.model, robot.data)
    scores = robot.task.score(robot.truth)
    assert not scores.success and not scores.milestones.any()
    # bring the button to a fingertip instead of the finger to the button
    robot.model.body_pos[robot.robot.body("panel")] += fingertips(robot.truth)[0] - robot.truth.p_world_body("button")
    for way, pressed in ((0.5 * TRAVEL_M, False), (TRAVEL_M, True)):
        robot.data.qpos[where] = way
        mujoco.mj_kinematics(robot.model, robot.data)
        assert bool(robot.task.score(robot.truth).success) == pressed


def test_the_button_springs_back() -> None:
    _, robot = world_of("g1/button")
    robot.reset(4)
    robot.data.qpos[int(robot.model.joint("button").qposadr[0])] = TRAVEL_M
    mujoco.mj_step(robot.model, robot.data, nstep=200)
    assert abs(robot.truth.joint_position("button")) < 1e-3


def put_box(robot: MujocoRobot, place: np.ndarray) -> None:
    where = int(robot.model.joint("box_free").qposadr[0])
    robot.data.qpos[where : where + 7] = (*place, *yaw_quaternion(0.0))
    robot.data.qvel[:] = 0.0
    mujoco.mj_forward(robot.model, robot.data)


@pytest.mark.parametrize(("task", "goal"), [("g1/shelf", "shelf"), ("g1/carry", "mat")])
def test_only_a_box_that_stands_at_its_place_counts(task: str, goal: str) -> None:
    _, robot = world_of(task)
    robot.reset(0)
    up = np.array([0.0, 0.0, robot.truth.geom_size("box")[2]])
    p_goal = robot.truth.p_world_body(goal).copy()
    assert (hands_off_box(robot.truth) > 0.03).all()
    for place, good in (
        (p_goal + up, True),
        (p_goal + up + (0.0, 0.0, 0.02), False),
        (p_goal + up + (0.0, 0.25, 0.0), False),
    ):
        put_box(robot, place)
        scores = robot.task.score(robot.truth)
        assert bool(scores.success) == good and not scores.failed
    put_box(robot, np.array([0.6, 0.0, 0.2]))
    assert robot.task.score(robot.truth).failed


@pytest.mark.parametrize("task", TASKS)
def test_a_robot_on_the_floor_has_failed(task: str) -> None:
    _, robot = world_of(task)
    robot.reset(0)
    robot.data.qpos[robot.robot.base_qpos][:] = 0.0
    base = robot.robot.base_qpos.start
    robot.data.qpos[base + 3 : base + 7] = np.cos(0.7), 0.0, np.sin(0.7), 0.0
    mujoco.mj_kinematics(robot.model, robot.data)
    scores = robot.task.score(robot.truth)
    assert scores.failed and not scores.success and scores.reward == 0.0


def test_a_dropped_box_comes_to_rest_on_the_table_and_gains_no_energy() -> None:
    _, robot = world_of("g1/shelf")
    robot.reset(2)
    model, data = robot.model, robot.data
    half, top = robot.truth.geom_size("box"), robot.truth.p_world_body("table")[2]
    put_box(robot, robot.truth.p_world_body("box") + np.array([0.0, 0.0, 0.12]))
    mass, v = model.body_mass[robot.robot.body("box")], int(model.body_dofadr[robot.robot.body("box")])
    inertia, most = model.body_inertia[robot.robot.body("box")], np.inf
    height = int(model.joint("box_free").qposadr[0]) + 2
    for _ in range(400):
        mujoco.mj_step(model, data)
        speed, spin = data.qvel[v : v + 3], data.qvel[v + 3 : v + 6]
        energy = 0.5 * mass * speed @ speed + 0.5 * spin @ (inertia * spin)
        energy += mass * 9.81 * data.qpos[height]
        assert energy < most * 1.001 + 1e-4
        most = energy if most == np.inf else most
    assert np.linalg.norm(data.qvel[v : v + 6]) < 1e-2
    assert robot.truth.p_world_body("box")[2] == pytest.approx(top + half[2], abs=1e-3)


def test_the_operator_knows_where_the_stance_frame_is() -> None:
    world, robot = world_of("g1/button")
    for seed in range(3):
        observation = world.task.reset(robot, seed)
        where = robot.embodiment.state_slices
        stance = Stance()
        stance.note(*(observation.state[where[f"{n}"]] for n in ("base_position", "base_quaternion", "joint_position")))
        p_hand = observation.state[where["left_hand_position"]]
        np.testing.assert_allclose(stance.axes.T @ (p_hand - stance.origin), robot.hold_action[:3], atol=1e-4)


def test_the_operator_refuses_another_action_mode() -> None:
    world = make_robot_world(RobotWorldConfig(task="g1/button", mode="joint_position", dump_folder=""))
    with pytest.raises(ConfigError, match="hands"):
        make_operator(world)
