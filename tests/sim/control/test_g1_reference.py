"""The posture that the G1's hands lead: within every limit, whatever is asked; and its parts by themselves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import UnknownNameError
from robot_stack.core.seeding import generator
from robot_stack.sim.control.g1_balance import REACH_HIGH, REACH_LOW
from robot_stack.sim.control.g1_reference import StandingReference
from robot_stack.sim.control.pose_filter import PoseFilter, PoseFilterConfig
from robot_stack.sim.control.self_distance import SelfDistance
from robot_stack.sim.control.whole_body.rotations import matrix_of, rotation_vector
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

mujoco: Any = import_mujoco()
TICK = 0.002
MIRROR = np.array((1.0, -1.0, 1.0))


@pytest.fixture(scope="module")
def robot() -> RobotModel:
    return compile_robot(UNITREE_G1)


@pytest.fixture
def reference(robot: RobotModel) -> StandingReference:
    data = mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    mujoco.mj_forward(robot.model, data)
    made = StandingReference(robot)
    made.reset(RobotSenses(robot).state(data))
    return made


def lead(
    reference: StandingReference, left: Any, right: Any, ticks: int, turn: Any = None, shift: Any = (0, 0)
) -> None:
    axes = np.eye(3) if turn is None else turn
    hands = [(reference.middle + np.asarray(p), axes) for p in (left, right)]
    for _ in range(ticks):
        reference.step(TICK, hands, np.zeros((2, 6)), None, np.asarray(shift, dtype=float))


def miss(reference: StandingReference, left: Any, right: Any) -> float:
    return max(
        float(np.linalg.norm(reference.hand(side)[0] - reference.middle - p)) for side, p in enumerate((left, right))
    )


def test_begins_where_the_robot_stands(reference: StandingReference) -> None:
    np.testing.assert_allclose(reference.joint_position, UNITREE_G1.home, atol=1e-12)
    assert reference.heading == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(reference.middle[1:], 0.0, atol=1e-5)


def test_reaches_the_corners_of_its_box(reference: StandingReference) -> None:
    """Every corner with the left hand, while the right one is at the corner that is furthest from it."""
    for bits in itertools.product((0, 1), repeat=3):
        left = np.where(bits, REACH_HIGH, REACH_LOW)
        right = np.where(bits, REACH_LOW, REACH_HIGH) * MIRROR
        lead(reference, left, right, 700)
        assert miss(reference, left, right) < 0.015, (left, right)


def test_keeps_every_limit_whatever_is_asked(reference: StandingReference) -> None:
    config, random = reference.config, generator(1, 63)
    feet = [reference._data.site(f"{side}_foot").xpos.copy() for side in ("left", "right")]
    low, high = reference.robot.low[:29], reference.robot.high[:29]
    before = reference.velocity[6:].copy()
    ways = [PoseFilter(), PoseFilter()]
    for side, way in enumerate(ways):
        way.reset(reference.hand(side)[0] - reference.middle, reference.hand(side)[1])
    for _ in range(25):
        left, right = random.uniform(-0.3, 1.2, 3), random.uniform(-0.3, 1.2, 3) * MIRROR
        turn = matrix_of(random.standard_normal(4))
        for _ in range(60):
            for way, target in zip(ways, (left, right), strict=True):
                way.step(target, turn, TICK)
            hands = [(reference.middle + way.position, way.axes) for way in ways]
            reference.step(TICK, hands, np.array([way.velocity for way in ways]), None, np.zeros(2))
            q, speed = reference.joint_position, reference.velocity[6:].copy()
            assert (q > low).all()
            assert (q < high).all()
            assert np.abs(speed).max() <= 1.01 * config.joint_speed
            assert np.abs(speed - before).max() <= 1.3 * config.arm_acceleration * TICK
            off = np.abs(reference.com - reference.middle)[:2]
            assert (off <= np.array(config.com_reach) + 5e-3).all()
            before = speed
    for foot, side in zip(feet, ("left", "right"), strict=True):
        np.testing.assert_allclose(reference._data.site(f"{side}_foot").xpos, foot, atol=1e-3)


def test_leans_where_it_is_told_to(reference: StandingReference) -> None:
    lead(reference, (0.3, 0.2, 0.9), (0.3, -0.2, 0.9), 1000)
    level = reference.com - reference.middle
    lead(reference, (0.3, 0.2, 0.9), (0.3, -0.2, 0.9), 1000, shift=(-0.03, 0.0))
    assert (reference.com - reference.middle - level)[0] == pytest.approx(-0.03, abs=0.01)


def test_arms_keep_off_the_body(reference: StandingReference, robot: RobotModel) -> None:
    """Hands asked into the chest, then crossed, with the fingers forward."""
    for left, right in (((0.1, -0.05, 0.9), (0.1, 0.05, 0.9)), ((0.3, -0.2, 0.95), (0.3, 0.2, 0.95))):
        lead(reference, left, right, 1000)
        for a, b in reference.config.apart:
            ends = np.zeros(6)
            found = mujoco.mj_geomDistance(robot.model, reference._data, robot.geom(a), robot.geom(b), 0.2, ends)
            assert found > 0.0, (a, b)


def test_distances_change_as_the_rows_say(robot: RobotModel) -> None:
    """Against finite differences, at random postures."""
    columns = np.concatenate((np.arange(6) + robot.base_dof.start, robot.dof[:29]))
    pairs = (("left_forearm_collision", "torso_collision"), ("left_wrist_collision", "right_wrist_collision"))
    apart = SelfDistance(robot, pairs, columns, keep_m=0.0, notice_m=3.0, rate=1.0)
    data, random = mujoco.MjData(robot.model), generator(2, 64)
    for _ in range(20):
        data.qpos[:] = robot.home_qpos()
        data.qpos[robot.qpos] += random.normal(0.0, 0.3, len(robot.qpos))
        velocity = random.standard_normal(robot.model.nv)
        measured = []
        for step in (0.0, 1e-6):
            mujoco.mj_integratePos(robot.model, data.qpos, velocity, step)
            mujoco.mj_kinematics(robot.model, data)
            mujoco.mj_comPos(robot.model, data)
            rows, least = apart.rows(data)
            measured.append(-least)
        np.testing.assert_allclose((measured[1] - measured[0]) / 1e-6, rows @ velocity[columns], atol=5e-3)


def test_parts_far_apart_are_left_alone(robot: RobotModel) -> None:
    apart = SelfDistance(robot, [("left_foot_collision", "head_collision")], robot.dof)
    data = mujoco.MjData(robot.model)
    mujoco.mj_forward(robot.model, data)
    rows, least = apart.rows(data)
    assert not rows.any()
    assert least[0] == -np.inf
    with pytest.raises(UnknownNameError):
        SelfDistance(robot, [("left_foot", "head_collision")], robot.dof)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_pose_is_followed_within_its_speeds(seed: int) -> None:
    config, random = PoseFilterConfig(), generator(seed, 65)
    way = PoseFilter(config)
    position, axes = random.uniform(-1, 1, 3), matrix_of(random.standard_normal(4))
    start, before, furthest = float(np.linalg.norm(position)), np.zeros(6), 0.0
    for _ in range(2500):
        way.step(position, axes, TICK)
        assert np.linalg.norm(way.velocity[:3]) <= config.speed + 1e-9
        assert np.linalg.norm(way.velocity[3:]) <= config.turn_speed + 1e-9
        assert np.linalg.norm((way.velocity - before)[:3]) <= config.acceleration * TICK + 1e-9
        furthest = max(furthest, float(np.linalg.norm(way.position)))
        before = way.velocity
    np.testing.assert_allclose(way.position, position, atol=1e-4)
    assert np.linalg.norm(rotation_vector(axes @ way.axes.T)) < 1e-3
    np.testing.assert_allclose(way.axes @ way.axes.T, np.eye(3), atol=1e-9)
    assert furthest < start + 0.005, "it goes past its target"
