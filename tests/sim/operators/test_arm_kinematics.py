"""Hand poses to joint commands: limits are kept whatever is asked, and hands arrive where they should."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.rotations import matrix_of
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.operators.arm_kinematics import ArmKinematics
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_robot_world
from robot_stack.sim.robots.aloha import ALOHA
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.panda import PANDA
from robot_stack.sim.robots.spec import RobotSpec


@pytest.mark.parametrize("spec", [PANDA, ALOHA], ids=lambda spec: spec.name)
def test_commands_keep_the_limits_however_targets_jump(spec: RobotSpec) -> None:
    arms, rng, robot = ArmKinematics(spec), generator(3, 1), compile_robot(spec)
    period = 1.0 / spec.control_hz
    hands = [hand.name for hand in spec.end_effectors]
    speed = np.array([j.velocity for j in spec.joints]) * period
    turn = np.array([j.acceleration or np.inf for j in spec.joints]) * period**2
    last, step = spec.home, np.zeros(len(spec.joints))
    targets = {hand: arms.pose(hand) for hand in hands}
    for tick in range(600):
        if tick % 15 == 0:
            quaternion = rng.normal(size=4)
            for hand in hands:
                turned = matrix_of(quaternion / np.linalg.norm(quaternion))
                targets[hand] = (arms.pose(hand)[0] + rng.normal(0.0, 0.4, 3), turned)
        command = arms.solve(targets)
        assert np.isfinite(command).all()
        assert (command >= robot.low[: len(command)]).all() and (command <= robot.high[: len(command)]).all()
        assert (np.abs(command - last) <= speed).all()
        assert (np.abs(command - last - step) <= turn).all()
        last, step = command, command - last


def test_a_jump_is_followed_without_overshooting_much() -> None:
    arms = ArmKinematics(PANDA)
    goal = np.array(PANDA.home) + 0.4
    goal[3] = PANDA.home[3] - 0.3
    commands = np.array([arms.bend(goal) for _ in range(150)])
    np.testing.assert_allclose(commands[-1], goal, atol=1e-4)
    beyond = (commands - goal) * np.sign(goal - PANDA.home)
    assert beyond.max() < 0.25  # the lead over the loop's lag, no more; it dies out
    assert np.abs(commands[60:] - goal).max() < 0.02


@pytest.mark.parametrize(("task", "within_m"), [("panda/pick-place", 0.001), ("aloha/hand-over", 0.012)])
def test_hands_come_to_rest_where_they_should(task: str, within_m: float) -> None:
    """The Panda to a millimetre; ALOHA, whose loops sag and stick, to its dry friction."""
    world = make_robot_world(RobotWorldConfig(task=task, dump_folder=""))
    robot = world.robot
    assert isinstance(robot, MujocoRobot)
    observation = robot.reset(4)
    slices = robot.embodiment.state_slices
    arms = ArmKinematics(robot.spec)
    arms.restart(observation.state[slices["joint_position"]])
    aims = {hand.name: arms.pose(hand.name) for hand in robot.spec.end_effectors}
    start = {name: pose[0].copy() for name, pose in aims.items()}
    open_grippers = np.ones(len(robot.spec.grippers))
    for tick in range(200):
        share = min(1.0, tick / 75)
        moved = {name: (start[name] + share * np.array([0.0, 0.05, -0.08]), aims[name][1]) for name in aims}
        robot.command(np.concatenate([arms.solve(moved), open_grippers]))
    state = robot.observe().state
    for name, (position, _) in moved.items():
        assert np.linalg.norm(state[slices[f"{name}_position"]] - position) < within_m
    without_lead = 0.015  # ALOHA's hands sink by so much at home when nothing is done about it
    assert within_m < without_lead
