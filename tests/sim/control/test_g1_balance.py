"""The G1 stands, reaches, lifts, and is pushed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import NonFiniteError
from robot_stack.core.seeding import generator
from robot_stack.sim.control.g1_balance import LEFT, PUSH_NS, REACH_HIGH, REACH_LOW, RIGHT, G1Balance
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.robot_tasks.stand import g1_stand
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1, UNITREE_G1_GRIPPERS
from tests.sim.control.g1_floor import AHEAD, G1Floor, table_and_box

MIRROR = np.array((1.0, -1.0, 1.0))
LOW, HIGH = np.array(REACH_LOW), np.array(REACH_HIGH)
PUSH_S = 0.1


@pytest.fixture(scope="module")
def shared() -> G1Floor:
    return G1Floor()


@pytest.fixture
def floor(shared: G1Floor) -> G1Floor:
    shared.reset()
    return shared


def push_towards(degrees: float, impulse: float) -> Callable[[float], np.ndarray]:
    force = impulse / PUSH_S * np.array((math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0))
    return lambda time: force if time < PUSH_S else np.zeros(3)


def check_stands_still(floor: G1Floor, seconds: float) -> None:
    floor.run(seconds)
    assert floor.stands
    assert np.abs(floor.data.qvel).max() < 0.02
    assert np.linalg.norm(floor.data.subtree_com[floor.robot.root][:2] - floor.start[:2]) < 5e-3
    assert abs(floor.data.qpos[2] - floor.robot.spec.home_height_m) < 3e-3
    assert floor.errors().max() < 3e-3
    assert not floor.touching


def test_stands(floor: G1Floor) -> None:
    check_stands_still(floor, 3.0)
    forces = floor.senses.state(floor.data).foot_force
    assert forces.sum() == pytest.approx(9.81 * floor.model.body_subtreemass[floor.robot.root], rel=0.02)


@pytest.mark.slow
def test_stands_30_seconds(floor: G1Floor) -> None:
    check_stands_still(floor, 30.0)


def test_the_action_is_named_and_kept_within_limits(floor: G1Floor) -> None:
    fields = floor.controller.fields
    assert [f.name for f in fields] == [f"{s}_hand_{w}" for s in ("left", "right") for w in ("position", "orientation")]
    state = floor.senses.state(floor.data)
    assert not floor.controller.begin(floor.action, state).interventions
    np.testing.assert_allclose(floor.action[LEFT][:3], floor.hand("left"), atol=1e-6)
    far = floor.action.copy()
    far[0], far[3:7] = 9.0, (0.0, 0.0, 0.5, 0.0)
    accepted = floor.controller.begin(far, state)
    assert accepted.action[0] == floor.controller.config.hand_high[0]
    np.testing.assert_allclose(accepted.action[3:7], (0.0, 0.0, 1.0, 0.0))
    assert [i.reason for i in accepted.interventions] == ["limit"]
    assert "left_hand_x" in accepted.interventions[0].detail
    far[3:7] = 0.0
    np.testing.assert_allclose(floor.controller.begin(far, state).action[3:7], AHEAD)


@pytest.mark.parametrize(
    ("left", "right"),
    [((0.40, 0.30, 1.1), None), (None, (0.35, -0.1, 0.65)), ((0.40, 0.12, 0.9), (0.40, -0.12, 0.9))],
    ids=["left", "right", "both"],
)
def test_reaches(floor: G1Floor, left: tuple[float, ...] | None, right: tuple[float, ...] | None) -> None:
    floor.ask(left, right)
    floor.run(2.0)
    assert floor.stands
    assert floor.errors().max() < 0.01
    assert floor.turned().max() < 0.1
    assert floor.largest_share < 1.0
    assert not floor.touching


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_reaches_everywhere_in_the_box(floor: G1Floor, seed: int) -> None:
    """Corners, then random targets, one after the other as they come, with either hand and with both."""
    random = generator(seed, 61)
    corners = [np.where([i & 1, i & 2, i & 4], HIGH, LOW) for i in range(8)]
    targets: list[tuple[Any, Any]] = [(c if seed != 1 else None, c * MIRROR if seed != 0 else None) for c in corners]
    for number in range(22):
        left, right = random.uniform(LOW, HIGH), random.uniform(LOW, HIGH) * MIRROR
        targets.append((None if number % 3 == 1 else left, None if number % 3 == 0 else right))
    for left, right in targets:
        floor.ask(left, right)
        floor.run(3.0)
        assert floor.stands
        assert floor.errors().max() < 0.01, (left, right, floor.errors())
        assert floor.turned().max() < 0.25
    assert floor.largest_share < 1.0
    assert not floor.touching


def test_out_of_reach_it_points_there_and_stands(floor: G1Floor) -> None:
    floor.ask(left=(0.75, 0.5, 1.3))
    floor.run(4.0)
    assert floor.stands
    assert np.abs(floor.data.qvel).max() < 0.1
    shoulder = floor.data.body("left_shoulder_pitch_link").xpos - floor.start
    reach, wanted = floor.hand("left") - shoulder, np.array((0.75, 0.5, 1.3)) - shoulder
    assert reach @ wanted / (np.linalg.norm(reach) * np.linalg.norm(wanted)) > 0.95
    floor.ask(left=(0.3, 0.25, 0.9))
    floor.run(2.0)
    assert floor.errors().max() < 0.01


def test_lifts_a_box_of_2_kg_and_holds_it() -> None:
    floor = G1Floor(furnish=table_and_box(2.0))
    inside = 0.07
    for x, y, z, seconds in (
        (0.25, 0.30, 0.95, 1.0),
        (0.40, 0.22, 0.86, 1.0),
        (0.40, inside, 0.86, 0.8),
        (0.38, inside, 1.02, 1.2),
    ):
        floor.ask((x, y, z), (x, -y, z))
        floor.run(seconds)
    lifted = floor.data.body("box").xpos.copy()
    assert lifted[2] > 0.95
    floor.run(1.5)
    assert floor.stands
    assert np.linalg.norm(floor.data.body("box").xpos - lifted) < 0.01, "it slips"
    np.testing.assert_allclose(floor.controller.hand_force[:, 2], -9.81, atol=2.5)
    assert floor.hand("left")[2] == pytest.approx(1.02, abs=0.02)
    # it leans back, so that robot and box together stand over the feet
    com, box = floor.data.subtree_com[floor.robot.root] - floor.start, lifted - floor.start
    mass = floor.model.body_subtreemass[floor.robot.root]
    assert abs(mass * com[0] + 2.0 * box[0]) / (mass + 2.0) < 0.03
    assert floor.largest_share < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("mass", [1.0, 3.0])
def test_lifts_other_boxes(mass: float) -> None:
    floor = G1Floor(furnish=table_and_box(mass))
    for x, y, z, seconds in (
        (0.25, 0.3, 0.95, 1.0),
        (0.4, 0.22, 0.86, 1.0),
        (0.4, 0.06, 0.86, 0.8),
        (0.38, 0.06, 1.0, 5),
    ):
        floor.ask((x, y, z), (x, -y, z))
        floor.run(seconds)
    assert floor.stands
    assert floor.data.body("box").xpos[2] > 0.92


def test_a_weight_in_one_hand_is_felt_and_carried(floor: G1Floor) -> None:
    floor.ask(left=(0.35, 0.25, 0.95))
    floor.run(1.0)
    floor.run(2.0, lambda time: (0.0, 0.0, -15.0), body="left_wrist_yaw_link")
    felt = floor.controller.hand_force
    assert felt[0, 2] == pytest.approx(-15.0, abs=3.0)
    assert np.abs(felt[1]).max() < 1.0
    assert floor.errors().max() < 0.01
    assert floor.stands


@pytest.mark.parametrize("degrees", [0.0, 135.0])
def test_survives_a_push(floor: G1Floor, degrees: float) -> None:
    floor.run(0.2)
    floor.run(3.0, push_towards(degrees, PUSH_NS))
    assert floor.stands
    assert floor.largest_share < 1.0
    assert floor.errors().max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("degrees", range(0, 360, 45))
def test_survives_pushes_from_everywhere(floor: G1Floor, degrees: float) -> None:
    floor.ask((0.35, 0.2, 0.9), (0.35, -0.2, 0.9))
    floor.run(1.5)
    floor.run(4.0, push_towards(degrees, PUSH_NS))
    assert floor.stands
    assert floor.errors().max() < 0.02


def test_a_robot_that_is_not_the_model(floor: G1Floor) -> None:
    """Torso 15 % heavier, floor slippery, the state 6 ms old."""
    torso, friction = floor.model.body("torso_link").id, floor.model.geom_friction.copy()
    update, late = floor.controller.update, deque(maxlen=4)
    try:
        floor.model.body_mass[torso] *= 1.15
        floor.model.geom_friction[:, 0] *= 0.7
        floor.controller.update = lambda state: update((late.append(state), late[0])[1])
        floor.ask((0.35, 0.2, 0.9), (0.35, -0.2, 0.9))
        floor.run(1.5)
        assert floor.errors().max() < 0.01
        floor.run(1.5, push_towards(45.0, 5.0))
        assert floor.stands
    finally:
        floor.model.body_mass[torso] /= 1.15
        floor.model.geom_friction[:] = friction
        floor.controller.update = update


def test_when_it_falls_it_only_brakes(floor: G1Floor) -> None:
    floor.run(1.5, push_towards(0.0, 40.0))
    assert floor.controller.fallen
    state = floor.senses.state(floor.data)
    command = floor.controller.update(state)
    assert not command.stiffness.any()
    assert not command.effort.any()
    assert (command.damping > 0).all()
    floor.reset()
    assert not floor.controller.fallen


def test_pelvis_height_is_followed() -> None:
    floor = G1Floor(with_height=True)
    assert floor.controller.fields[-1].name == "pelvis_height"
    assert floor.action[-1] == pytest.approx(floor.robot.spec.home_height_m, abs=1e-3)
    before = floor.data.qpos[2]
    floor.action[-1] = 0.62
    floor.run(2.5)
    assert floor.stands
    assert floor.data.qpos[2] < before - 0.05
    assert floor.errors().max() < 0.01


def test_grippers_follow_their_opening() -> None:
    floor = G1Floor(UNITREE_G1_GRIPPERS)
    assert [f.name for f in floor.controller.fields[-2:]] == ["left_gripper", "right_gripper"]
    floor.action[-2:] = (0.0, 0.5)
    floor.ask(left=(0.35, 0.2, 0.9))
    floor.run(2.0)
    assert floor.stands
    np.testing.assert_allclose(floor.data.qpos[floor.robot.qpos[29:]], (0.0, 0.0, 0.02, 0.02), atol=1.5e-3)
    assert floor.errors().max() < 0.01


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_stands_behind_the_safety_filter_from_any_start(seed: int) -> None:
    """As users run it: another heading, joints off home, soles that do not lie flat, actions at 50 Hz."""
    robot = MujocoRobot(UNITREE_G1, g1_stand(), G1Balance, MujocoRobotConfig(dump_folder=""))
    robot.reset(seed)
    for _ in range(75):
        assert not robot.command(robot.hold_action).interventions
    assert isinstance(robot.controller, G1Balance)
    assert not robot.controller.fallen
    assert robot.data.xmat[robot.robot.root][8] > 0.999
    assert np.abs(robot.data.qvel).max() < 0.05


def test_the_same_again_is_the_same(floor: G1Floor) -> None:
    ends = []
    for _ in range(2):
        floor.reset()
        floor.ask(right=(0.3, -0.3, 1.0))
        floor.run(0.3)
        ends.append(floor.data.qpos.copy())
    np.testing.assert_array_equal(*ends)


def test_a_state_that_is_not_finite_is_refused(floor: G1Floor) -> None:
    state = floor.senses.state(floor.data)
    state.joint_velocity[3] = np.nan
    with pytest.raises(NonFiniteError):
        floor.controller.update(state)


@pytest.mark.slow
def test_jumping_targets_do_not_upset_it(floor: G1Floor) -> None:
    """Targets that jump through the box and beyond it five times a second for 20 s."""
    random = generator(5, 62)
    for _ in range(100):
        floor.ask(random.uniform(LOW - 0.15, HIGH + 0.2), random.uniform(LOW - 0.15, HIGH + 0.2) * MIRROR)
        floor.action[RIGHT][3:] = random.normal(size=4)
        floor.run(0.2)
    assert floor.stands
    assert floor.largest_share < 1.0
