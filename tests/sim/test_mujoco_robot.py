"""A simulated robot keeps the Robot contract, and bad models and blow-ups are told in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import (
    ConfigError,
    DatasetError,
    NonFiniteError,
    ShapeError,
    StorageError,
    UnknownNameError,
)
from robot_stack.core.observation import check_observation
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.blow_up import PhysicsError, read_dump
from robot_stack.sim.control.joint_modes import JointPositionMode, JointTorqueMode, JointVelocityMode
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_world import SimulatedTask
from robot_stack.sim.robots.model import RobotModelError, compile_robot
from tests.sim.toy_arm import MJCF, ToyReach, toy_robot, toy_spec


@pytest.fixture
def robot(tmp_path: Path) -> MujocoRobot:
    return toy_robot(tmp_path, MujocoRobotConfig(dump_folder=str(tmp_path / "dumps")))


def test_equal_seeds_and_actions_give_equal_episodes(robot: MujocoRobot) -> None:
    rng = np.random.default_rng(0)
    actions = robot.hold_action + rng.normal(size=(20, 3)) * 0.1

    def run(seed: int) -> np.ndarray:
        rows = [robot.reset(seed).state]
        for action in actions:
            robot.command(action)
            rows.append(robot.observe().state)
        return np.array(rows)

    first, other, again = run(1), run(2), run(1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_one_episode_changes_does_not_reach_the_next(robot: MujocoRobot) -> None:
    robot.reset(1)
    mass, colour = robot.model.body_mass.copy(), robot.model.geom_rgba.copy()
    robot.reset(2)
    assert robot.model.body_mass[robot.robot.body("cube")] != mass[robot.robot.body("cube")]
    robot.reset(1)
    assert np.array_equal(robot.model.body_mass, mass) and np.array_equal(robot.model.geom_rgba, colour)
    assert robot.model.body_subtreemass[0] == pytest.approx(mass.sum())


def test_positions_are_reached_within_the_speed_limit(robot: MujocoRobot) -> None:
    robot.reset(0)
    target = np.array([-0.5, 1.5, 1.0])
    names = robot.embodiment.state_indices(("joint_position", "joint_velocity", "gripper_opening"))
    for _ in range(100):
        receipt = robot.command(target)
        check_observation(robot.observe(), robot.embodiment)
        assert np.abs(robot.data.qvel[robot.robot.dof[:2]]).max() < 3 * 1.3
    seen = robot.observe().state[names]
    assert seen[:2] == pytest.approx(target[:2], abs=0.05)
    assert seen[2:4] == pytest.approx([0, 0], abs=1e-3)
    assert receipt.interventions == ()
    assert np.array_equal(receipt.sent, target.astype(np.float32).astype(float))


def test_a_jump_is_slowed_and_reported(robot: MujocoRobot) -> None:
    robot.reset(0)
    receipt = robot.command(np.array([2.5, 1.0, 1.0]))
    assert {i.reason for i in receipt.interventions} == {"limit", "rate"}
    assert receipt.sent[0] == pytest.approx(2.0)


@pytest.mark.parametrize("mode", [JointVelocityMode, JointTorqueMode])
def test_velocity_and_torque_move_the_joints_their_way(tmp_path: Path, mode: type) -> None:
    robot = toy_robot(tmp_path, mode=mode)
    robot.model.opt.gravity[:] = 0
    robot.reset(0)
    start = robot.observe().state[:2]
    for _ in range(25):
        robot.command(np.array([0.5, -0.5, 0.5]))
    moved = robot.observe().state[:2] - start
    assert moved[0] > 0.05 and moved[1] < -0.05
    if mode is JointVelocityMode:
        assert moved == pytest.approx([0.25, -0.25], abs=0.05)


@pytest.mark.parametrize("mode", [JointPositionMode, JointVelocityMode, JointTorqueMode])
def test_a_stopped_robot_comes_to_rest_whatever_it_is_told(tmp_path: Path, mode: type) -> None:
    robot = toy_robot(tmp_path, mode=mode)
    robot.reset(0)
    moving = robot.hold_action + np.array([0.6, -0.6, 0.0])
    for _ in range(5):
        robot.command(moving)
    robot.stop("operator")
    for _ in range(60):
        receipt = robot.command(moving)
    assert "latched_stop" in {i.reason for i in receipt.interventions}
    assert np.abs(robot.data.qvel[robot.robot.dof]).max() < 1e-2
    robot.reset(0)
    assert "latched_stop" not in {i.reason for i in robot.command(moving).interventions}


def test_an_episode_runs_through_the_loop(robot: MujocoRobot) -> None:
    from robot_stack.core.action import ActionChunk

    class Hold:
        history = 1

        def reset(self, instruction: str, seed: int) -> None: ...

        def act(self, history: object) -> ActionChunk:
            return ActionChunk(robot.hold_action[None])

    result = run_episode(robot, Hold(), SimulatedTask(robot), seed=3, horizon=10)
    assert result.steps == 10 and result.ending == "horizon"
    assert set(result.milestones) == {"near", "touching"}


def test_images_of_robot_and_scene_cameras(tmp_path: Path) -> None:
    robot = toy_robot(tmp_path, MujocoRobotConfig(cameras=("front", "wrist"), image_height=48, image_width=64))
    seen = robot.reset(0)
    check_observation(seen, robot.embodiment)
    assert [c.frame for c in robot.embodiment.cameras] == ["", "fore"]
    assert seen.images["front"].std() > 5
    assert robot.render(height=100, width=120).shape == (100, 120, 3)
    robot.close()
    with pytest.raises(UnknownNameError, match="front"):
        toy_robot(tmp_path, MujocoRobotConfig(cameras=("frnt",)))


def test_bad_actions_are_refused(robot: MujocoRobot) -> None:
    with pytest.raises(ShapeError, match="joint_position"):
        robot.command(np.zeros(2))
    with pytest.raises(NonFiniteError, match="elbow"):
        robot.command(np.array([0.0, np.nan, 0.0]))


@pytest.mark.parametrize(
    ("mjcf", "message"),
    [
        (MJCF.replace('"elbow"', '"ellbow"'), "elbow"),
        (MJCF.replace('name="base"', 'name="foot"'), "no body 'base'"),
        (
            MJCF.replace('<joint name="shoulder" axis="0 1 0" range="-2 2"/>', '<joint name="shoulder" type="ball"/>'),
            "neither",
        ),
        (MJCF.replace('<geom type="cylinder"', '<freejoint/><geom type="cylinder"'), "the base of 'toy_arm' is free"),
        ("<mujoco><worldbody></mujoco>", "cannot be compiled"),
    ],
)
def test_a_model_that_is_not_the_robots_is_refused(tmp_path: Path, mjcf: str, message: str) -> None:
    with pytest.raises(RobotModelError, match=message):
        compile_robot(toy_spec(tmp_path, mjcf))


def test_a_users_own_model_takes_the_place_of_ours(tmp_path: Path) -> None:
    spec = toy_spec(tmp_path)
    own = tmp_path / "vendor.xml"
    motors = '<actuator><motor name="m1" joint="elbow"/></actuator></mujoco>'
    own.write_text(MJCF.replace("</mujoco>", motors).replace('range="-2 2"', 'range="-1 1"'))
    robot = MujocoRobot(spec.with_mjcf(own), ToyReach())
    assert robot.embodiment.action[0].low[0] == -1.0
    assert robot.model.nu == 3
    assert robot.embodiment.model_sha256 != MujocoRobot(spec, ToyReach()).embodiment.model_sha256
    with pytest.raises(StorageError):
        spec.with_mjcf(tmp_path / "none.xml")


def test_rates_that_do_not_divide_are_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"control rate 60 Hz|servo rate 60 Hz") as caught:
        toy_robot(tmp_path, MujocoRobotConfig(control_hz=60.0))
    assert "500 Hz" in str(caught.value) and "62.5 Hz or 55.5" in str(caught.value)


def test_a_blow_up_is_dumped_and_the_dump_leads_there(robot: MujocoRobot, tmp_path: Path) -> None:
    robot.reset(5)
    for _ in range(3):
        robot.command(robot.hold_action)
    robot.data.qvel[robot.robot.dof[0]] = 1e12
    with pytest.raises(PhysicsError, match="blew up") as caught:
        for _ in range(5):
            robot.command(robot.hold_action)
    assert caught.value.dump is not None and caught.value.dump.parent == tmp_path / "dumps"
    dump = read_dump(caught.value.dump)
    assert dump.about["seed"] == 5 and len(dump.states) >= 4
    data: Any = import_mujoco().MjData(dump.model)
    dump.set(data, 2)
    quiet = np.abs(data.qvel).max()
    dump.set(data, len(dump.states) - 1)
    assert quiet < 1 < np.abs(data.qvel).max()
    assert np.isfinite(robot.reset(5).state).all()
    robot.command(robot.hold_action)


def test_a_damaged_dump_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_dump(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_dump(tmp_path / "none.npz")


def test_no_dump_without_a_folder(tmp_path: Path) -> None:
    robot = toy_robot(tmp_path, replace(MujocoRobotConfig(), dump_folder=""))
    robot.data.qvel[0] = np.nan
    with pytest.raises(PhysicsError) as caught:
        robot.command(robot.hold_action)
    assert caught.value.dump is None
