"""The Panda's tasks: starts, physics, what counts as success, and their operators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world
from robot_stack.sim.robot_tasks import panda_drawer, panda_peg
from robot_stack.sim.robot_tasks.workbench import TOP_M, yaw_quaternion
from tests.sim.robot_tasks.arm_bench import check_batch, check_impact, check_rest, check_starts, tally, world_of

mujoco = import_mujoco()
TASKS = ("panda/pick-place", "panda/drawer", "panda/peg")
VARIED = {
    "panda/pick-place": ("cube_position", "cube_rotation", "cube_half_edge", "disc_position"),
    "panda/drawer": ("handle_position", "handle_rotation", "drawer_opening"),
    "panda/peg": ("peg_position", "peg_rotation", "hole_position", "hole_rotation"),
}


def put(robot: MujocoRobot, body: str, position: np.ndarray, quaternion: np.ndarray) -> None:
    """Move a thing with a free joint, at rest."""
    joint = robot.model.body_jntadr[robot.robot.body(body)]
    q, v = int(robot.model.jnt_qposadr[joint]), int(robot.model.jnt_dofadr[joint])
    robot.data.qpos[q : q + 7] = (*position, *quaternion)
    robot.data.qvel[v : v + 6] = 0.0
    mujoco.mj_forward(robot.model, robot.data)


@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_without_being_corrected(task: str) -> None:
    got = tally(task, range(3))
    assert got.failed == () and got.unmet == () and got.interventions == 0


@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_with_wavering_hands(task: str) -> None:
    assert tally(task, range(20, 22), noise_std=0.003).failed == ()


@pytest.mark.parametrize("task", TASKS)
def test_operators_answer_in_hand_poses_too(task: str) -> None:
    assert tally(task, range(30, 31), mode="hand_pose").failed == ()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_operators_succeed_on_a_hundred_seeds(task: str) -> None:
    assert len(tally(task, range(100)).failed) <= 3


@pytest.mark.parametrize("task", TASKS)
def test_everything_is_at_rest_at_the_start(task: str) -> None:
    check_rest(task, range(4))


@pytest.mark.parametrize("task", TASKS)
def test_starts_depend_on_the_seed_alone_and_vary(task: str) -> None:
    names = VARIED[task]
    rotations = tuple(n for n in names if n.endswith("rotation"))
    constant = {"cube_position", "disc_position", "peg_position", "hole_position", "handle_position"}
    check_starts(task, range(12), tuple(n for n in names if n not in rotations and n not in constant))
    _, robot = world_of(task)
    slices = robot.embodiment.state_slices
    states = np.array([robot.reset(seed).state for seed in range(12)])
    for name in names:
        if name in constant:
            assert (np.ptp(states[:, slices[name]][:, :2], axis=0) > (0.05, 0.15)).all()
        elif name in rotations:
            assert np.ptp(states[:, slices[name]][:, 1]) > 0.3


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_sees_and_scores_the_same(task: str) -> None:
    check_batch(task)


def test_a_cube_beside_the_disc_or_above_it_is_not_placed() -> None:
    _, robot = world_of("panda/pick-place")
    robot.reset(1)
    disc, half = robot.truth.p_world_body("disc").copy(), float(robot.truth.geom_size("cube")[0])
    on = disc + np.array([0.0, 0.0, half])
    for offset, want in (((0, 0, 0), True), ((0.02, 0, 0), True), ((0.03, 0, 0), False), ((0, 0, 0.02), False)):
        put(robot, "cube", on + np.array(offset), yaw_quaternion(0.3))
        assert bool(robot.task.score(robot.truth).success) is want
    put(robot, "cube", np.array([0.5, 0.0, TOP_M - 0.3]), yaw_quaternion(0.0))
    assert robot.task.score(robot.truth).failed


def test_cubes_of_all_sizes_have_their_mass_and_stand_on_the_table() -> None:
    _, robot = world_of("panda/pick-place")
    body = robot.robot.body("cube")
    sizes = []
    for seed in range(10):
        robot.reset(seed)
        half = float(robot.truth.geom_size("cube")[0])
        sizes.append(half)
        assert robot.model.body_mass[body] == pytest.approx(600.0 * (2 * half) ** 3)
        np.testing.assert_allclose(robot.model.body_inertia[body], 600.0 * (2 * half) ** 3 * (2 * half) ** 2 / 6)
        for _ in range(25):
            robot.command(robot.hold_action)
        assert robot.truth.p_world_body("cube")[2] == pytest.approx(TOP_M + half, abs=2e-4)
    assert max(sizes) - min(sizes) > 0.005


@pytest.mark.parametrize(("task", "thing"), [("panda/pick-place", "cube"), ("panda/peg", "peg")])
def test_things_dropped_on_the_table_stay_above_it(task: str, thing: str) -> None:
    check_impact(task, thing, (0.35, 0.40))


def test_a_drawer_needs_its_friction_to_be_overcome() -> None:
    _, robot = world_of("panda/drawer")
    robot.reset(2)
    dof = int(robot.model.joint("drawer").dofadr[0])
    friction, start = float(robot.model.dof_frictionloss[dof]), float(robot.truth.joint_position("drawer"))
    for force, opens in ((0.8 * friction, False), (friction + 6.0, True)):
        robot.reset(2)
        robot.data.qfrc_applied[dof] = force
        mujoco.mj_step(robot.model, robot.data, 1000)
        moved = float(robot.truth.joint_position("drawer")) - start
        assert (moved > 0.1) is opens
        assert opens or moved < 0.002
    assert float(robot.truth.joint_position("drawer")) < panda_drawer.WAY_M + 0.002


@pytest.fixture
def peg_robot() -> Iterator[MujocoRobot]:
    _, robot = world_of("panda/peg")
    robot.reset(5)
    yield robot


def drop_peg(robot: MujocoRobot, aside: float, turned: float, push_n: float = 0.0) -> float:
    """Let the peg fall from above the hole; how high its foot is in the end [m]."""
    block = robot.robot.body("block")
    place = robot.data.xpos[block] + (aside, 0.0, panda_peg.BLOCK_M + panda_peg.PEG_HALF_M[2] + 0.002)
    yaw = 2 * np.arctan2(robot.data.xquat[block][3], robot.data.xquat[block][0]) + turned
    put(robot, "peg", place, yaw_quaternion(yaw))
    peg = robot.robot.body("peg")
    for _ in range(60):
        robot.data.xfrc_applied[peg, 2] = -push_n
        robot.command(robot.hold_action)
    robot.data.xfrc_applied[peg] = 0.0
    return float(robot.data.xpos[peg][2]) - panda_peg.PEG_HALF_M[2] - TOP_M


def test_the_hole_is_two_millimetres_wider_than_the_peg(peg_robot: MujocoRobot) -> None:
    model = peg_robot.model
    faces = [model.geom(f"block_{i}") for i in range(4)]
    inner = [max(abs(g.pos[0]), abs(g.pos[1])) - (g.size[0] if abs(g.pos[0]) > 0 else g.size[1]) for g in faces]
    np.testing.assert_allclose(inner, model.geom("peg").size[0] + 0.001, atol=1e-9)


def test_an_aligned_peg_falls_in_and_a_turned_or_shifted_one_does_not(peg_robot: MujocoRobot) -> None:
    assert drop_peg(peg_robot, 0.0, 0.0) < 0.002
    assert peg_robot.task.score(peg_robot.truth).success
    assert drop_peg(peg_robot, 0.0, np.radians(20.0), push_n=20.0) > panda_peg.BLOCK_M - 0.003
    assert drop_peg(peg_robot, 0.018, 0.0, push_n=20.0) > panda_peg.BLOCK_M - 0.003
    assert not peg_robot.task.score(peg_robot.truth).success


def test_an_operator_refuses_another_action_mode() -> None:
    world = make_robot_world(RobotWorldConfig(task="panda/peg", mode="joint_torque", dump_folder=""))
    with pytest.raises(ConfigError, match="joint positions"):
        make_operator(world)


def test_an_operator_depends_on_its_seed_alone() -> None:
    world, robot = world_of("panda/pick-place")
    noisy = make_operator(world, 0.004)

    def actions(seed: int) -> np.ndarray:
        observation = robot.reset(9)
        noisy.reset("", seed)
        found = []
        for _ in range(30):
            found.append(noisy.act([observation]).actions[0])
            robot.command(found[-1])
            observation = robot.observe()
        return np.array(found)

    first, other = actions(1), actions(2)
    np.testing.assert_array_equal(first, actions(1))
    assert np.abs(first - other).max() > 0.01
