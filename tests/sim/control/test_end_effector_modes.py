"""Action modes by hand poses and hand steps, in the simulated robot, and the adapter into joint positions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robot_stack.core.action import ActionChunk, Receipt
from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.sim.control.end_effector_modes import HandPoseMode, HandStepMode, StepFrame, rotation_from_columns
from robot_stack.sim.control.hand_follower import FollowConfig
from robot_stack.sim.control.in_joint_positions import InJointPositions
from robot_stack.sim.mujoco_robot import ControllerMaker, MujocoRobot, MujocoRobotConfig
from robot_stack.sim.robot_catalog import robot_spec, robot_task
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.panda import PANDA
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

TASK_OF = {"panda": "panda/pick-place", "aloha": "aloha/lift-tray"}
RAMP = np.concatenate([np.linspace(0, 1, 20), np.ones(30), np.linspace(1, 0, 20), np.zeros(20)]).tolist()
ROBOTS = pytest.mark.parametrize("name", list(TASK_OF))


def simulated(name: str, controller: ControllerMaker | None, config: MujocoRobotConfig | None = None) -> MujocoRobot:
    return MujocoRobot(robot_spec(name), robot_task(TASK_OF[name]), controller, config or MujocoRobotConfig())


def hand_names(robot: MujocoRobot) -> list[str]:
    return [hand.name for hand in robot.spec.end_effectors]


def seen(robot: MujocoRobot, field: str) -> np.ndarray:
    return robot.observe().state[robot.embodiment.state_slices[field]].copy()


def part(robot: MujocoRobot, field: str) -> slice:
    return robot.embodiment.action_slices[field]


def reasons(receipt: Receipt) -> set[str]:
    return {intervention.reason for intervention in receipt.interventions}


def at_home(spec: RobotSpec, time_s: float = 0.0) -> RobotState:
    joints = np.array([joint.home for joint in spec.driven])
    zero = np.zeros(3)
    return RobotState(time_s, joints, np.zeros_like(joints), zero, np.array([1.0, 0, 0, 0]), zero, zero, np.zeros(0))


@ROBOTS
@pytest.mark.parametrize("mode", [HandPoseMode, HandStepMode])
def test_the_hold_action_holds(name: str, mode: ControllerMaker) -> None:
    robot = simulated(name, mode)
    robot.reset(3)
    hands = hand_names(robot)
    before = [seen(robot, f"{hand}_position") for hand in hands]
    for _ in range(50):
        receipt = robot.command(robot.hold_action)
        assert not receipt.interventions
    for hand, place in zip(hands, before, strict=True):
        assert np.linalg.norm(seen(robot, f"{hand}_position") - place) < 2e-3


@ROBOTS
def test_actions_have_the_frame_and_the_numbers_of_the_state(name: str) -> None:
    robot = simulated(name, HandPoseMode)
    robot.reset(0)
    for hand in hand_names(robot):
        for field in (f"{hand}_position", f"{hand}_rotation"):
            assert robot.hold_action[part(robot, field)] == pytest.approx(seen(robot, field), abs=1e-9)
    assert [f.name for f in robot.embodiment.action][-1].endswith("gripper")


@ROBOTS
def test_hands_follow_moving_poses_and_arrive(name: str) -> None:
    robot = simulated(name, HandPoseMode)
    robot.reset(1)
    action, hands = robot.hold_action.copy(), hand_names(robot)
    start = action.copy()
    inwards = {"hand": 1.0, "left_hand": 1.0, "right_hand": -1.0}
    behind, turn = [], Rotation.from_rotvec([0.0, 0.0, 0.3])
    for share in np.concatenate([np.linspace(0, 1, 100), np.ones(40)]):
        smooth = share * share * (3 - 2 * share)
        for hand in hands:
            way = np.array([0.08 * inwards[hand], 0.06, -0.05])
            action[part(robot, f"{hand}_position")] = start[part(robot, f"{hand}_position")] + smooth * way
            columns = start[part(robot, f"{hand}_rotation")].reshape(2, 3)
            turned = Rotation.from_rotvec(smooth * turn.as_rotvec()).apply(columns).reshape(-1)
            action[part(robot, f"{hand}_rotation")] = turned
        receipt = robot.command(action)
        assert not receipt.interventions
        assert receipt.sent == pytest.approx(action, abs=1e-6)
        behind.append(
            max(
                np.linalg.norm(seen(robot, f"{hand}_position") - action[part(robot, f"{hand}_position")])
                for hand in hands
            )
        )
    # the Panda compensates its gravity; ALOHA's joints stick in dry friction
    assert max(behind) < {"panda": 2e-3, "aloha": 8e-3}[name]
    assert behind[-1] < {"panda": 1e-4, "aloha": 2e-3}[name]
    for hand in hands:
        assert seen(robot, f"{hand}_rotation") == pytest.approx(action[part(robot, f"{hand}_rotation")], abs=0.02)


def test_a_far_pose_is_approached_at_the_allowed_speed_and_said_so() -> None:
    robot = simulated("panda", partial(HandPoseMode, config=FollowConfig(linear_speed=0.2)))
    robot.reset(0)
    action = robot.hold_action.copy()
    action[1] += 0.2
    places = [seen(robot, "hand_position")]
    for step in range(80):
        receipt = robot.command(action)
        places.append(seen(robot, "hand_position"))
        if step < 40:
            assert "speed" in reasons(receipt)
            assert receipt.sent[1] < action[1] - 1e-3, "what is sent is the pose on the way"
    speed = np.linalg.norm(np.diff(places, axis=0), axis=1) * robot.embodiment.control_hz
    assert 0.15 < speed.max() < 0.25
    assert not receipt.interventions
    assert places[-1] == pytest.approx(action[:3], abs=1e-3)


def test_the_workspace_is_kept_and_said_so() -> None:
    low, high = (0.2, -0.1, 1.05), (0.6, 0.1, 1.45)
    config = FollowConfig(workspace_low=low, workspace_high=high)
    robot = simulated("panda", partial(HandPoseMode, config=config))
    robot.reset(0)
    assert robot.embodiment.action[0].low == low
    action = robot.hold_action.copy()
    action[1] = high[1] + 0.3
    for _ in range(60):
        receipt = robot.command(action)
        assert "workspace" in reasons(receipt)
        assert receipt.sent[1] <= high[1] + 1e-6
        assert seen(robot, "hand_position")[1] < high[1] + 0.008, "aims stop there, hands swing a little"
    assert seen(robot, "hand_position")[1] == pytest.approx(high[1], abs=1e-3)
    assert receipt.sent[:3] == pytest.approx([action[0], high[1], action[2]], abs=1e-6)


@pytest.mark.parametrize("frame", get_args(StepFrame))
def test_steps_move_in_their_frame(frame: StepFrame) -> None:
    robot = simulated("panda", partial(HandStepMode, frame=frame))
    robot.reset(0)
    before, columns = seen(robot, "hand_position"), seen(robot, "hand_rotation")
    x, y = columns.reshape(2, 3)
    axes = np.stack([x, y, np.cross(x, y)], axis=1) if frame == "hand" else np.eye(3)
    action = robot.hold_action.copy()
    step, turn = np.array([0.001, 0.002, -0.001]), np.array([0.0, 0.0, 0.005])
    for share in RAMP:
        action[:3], action[3:6] = share * step, share * turn * (frame != "hand")
        assert not robot.command(action).interventions
    assert seen(robot, "hand_position") - before == pytest.approx(sum(RAMP) * axes @ step, abs=1e-3)
    if frame != "hand":
        turned = Rotation.from_rotvec(sum(RAMP) * turn).apply(columns.reshape(2, 3)).reshape(-1)
        assert seen(robot, "hand_rotation") == pytest.approx(turned, abs=5e-3)


def test_hand_axes_turn_with_the_hand() -> None:
    robot = simulated("panda", HandStepMode)
    robot.reset(0)
    action = robot.hold_action.copy()
    for share in RAMP:
        action[5] = 0.02 * share
        robot.command(action)
    before, columns = seen(robot, "hand_position"), seen(robot, "hand_rotation")
    for share in RAMP:
        action[:6] = (0.002 * share, 0.0, 0.0, 0.0, 0.0, 0.0)
        robot.command(action)
    assert seen(robot, "hand_position") - before == pytest.approx(0.002 * sum(RAMP) * columns[:3], abs=2e-3)


def test_steps_that_are_too_large_are_shortened_to_what_is_sent() -> None:
    robot = simulated("panda", partial(HandStepMode, config=FollowConfig(linear_speed=0.2)))
    robot.reset(0)
    action = robot.hold_action.copy()
    action[:3] = (0.03, 0.04, 0.0)
    for step in range(1, 12):
        receipt = robot.command(action)
        assert "speed" in reasons(receipt)
        sped_up = min(0.2 / 50, step * FollowConfig().linear_acceleration / 50**2)
        assert receipt.sent[:3] == pytest.approx(action[:3] * sped_up / 0.05, abs=1e-6)


def test_the_aim_of_a_blocked_hand_does_not_run_off() -> None:
    mode = HandStepMode(compile_robot(PANDA))
    state = at_home(PANDA)
    mode.reset(state)
    action = np.zeros(7)
    action[2] = 0.005  # into a table: the measured joints never move
    found: set[str] = set()
    for step in range(200):
        accepted = mode.begin(action, at_home(PANDA, step / 50))
        found |= {i.reason for i in accepted.interventions}
    assert "leash" in found
    action[2] = -0.005
    for step in range(200, 230):  # 8 cm of leash are undone in 16 steps
        if step == 216:
            action[2] = 0.0
        mode.begin(action, at_home(PANDA, step / 50))
    assert np.abs(mode.joint_command - PANDA.home).max() < 0.02


@ROBOTS
def test_the_safety_filter_has_nothing_to_change_whatever_is_asked_for(name: str) -> None:
    """Speeds, accelerations and limits of the joints are kept by the mode itself."""
    robot = simulated(name, HandPoseMode)
    robot.reset(4)
    rng, hands = generator(8), hand_names(robot)
    action, found = robot.hold_action.copy(), set()
    for step in range(300):
        if step % 30 == 0:
            for hand in hands:
                place = robot.hold_action[part(robot, f"{hand}_position")]
                action[part(robot, f"{hand}_position")] = place + 0.3 * rng.normal(size=3)
                action[part(robot, f"{hand}_rotation")] = rng.normal(size=6)
        found |= reasons(robot.command(action))
    assert "speed" in found
    assert not found & {"position", "rate", "acceleration", "step"}


def test_out_of_reach_is_said_and_the_arm_stays_within_its_limits() -> None:
    robot = simulated("panda", HandPoseMode)
    robot.reset(0)
    action = robot.hold_action.copy()
    action[:3] += (0.9, 0.0, 0.3)
    for _ in range(150):
        receipt = robot.command(action)
    assert "reach" in reasons(receipt)
    joints = seen(robot, "joint_position")
    assert (joints > robot.robot.low[:7] - 1e-3).all() and (joints < robot.robot.high[:7] + 1e-3).all()
    assert np.abs(seen(robot, "joint_velocity")).max() < 0.02, "at rest"


@pytest.mark.parametrize("columns", [np.zeros(6), np.array([1.0, 0, 0, 2.0, 0, 0]), np.full(6, 1e-9), np.full(6, 1e9)])
def test_columns_that_span_no_rotation_keep_the_last_one(columns: np.ndarray) -> None:
    robot = simulated("panda", HandPoseMode)
    robot.reset(0)
    action = robot.hold_action.copy()
    action[3:9] = columns
    receipt = robot.command(action)
    assert "rotation" in reasons(receipt)
    assert receipt.sent[3:9] == pytest.approx(robot.hold_action[3:9], abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_gram_and_schmidt_give_rotations_and_leave_rotations_alone(seed: int) -> None:
    rng = generator(seed)
    rotation = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    again = rotation_from_columns(rotation[:, :2].T.reshape(-1))
    assert again == pytest.approx(rotation, abs=1e-12)
    wild = rotation_from_columns(rng.normal(size=6) * 10.0 ** rng.uniform(-2, 2))
    if wild is not None:
        assert wild @ wild.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(wild) == pytest.approx(1.0)


@ROBOTS
@pytest.mark.parametrize("mode", [HandPoseMode, HandStepMode])
def test_wild_actions_stay_within_the_robots_limits(name: str, mode: ControllerMaker) -> None:
    robot = simulated(name, mode)
    robot.reset(5)
    rng, spec = generator(6), robot.spec
    low, high = robot.robot.low, robot.robot.high
    for _ in range(150):
        action = robot.hold_action + rng.normal(size=robot.embodiment.action_size) * 10.0 ** rng.uniform(-3, 3)
        robot.command(action)
        joints = robot.data.qpos[robot.robot.qpos]
        assert (joints > low - 0.05).all() and (joints < high + 0.05).all()
        speed = np.abs(robot.data.qvel[robot.robot.dof[: len(spec.joints)]])
        assert (speed < 1.5 * np.array([joint.velocity for joint in spec.joints])).all()


def test_another_control_rate_is_refused_and_can_be_given() -> None:
    half = MujocoRobotConfig(control_hz=25.0)
    robot = simulated("panda", HandPoseMode, half)
    robot.reset(0)
    robot.command(robot.hold_action)
    with pytest.raises(ConfigError, match="another rate"):
        robot.command(robot.hold_action)
    robot = simulated("panda", partial(HandPoseMode, config=FollowConfig(control_hz=25.0)), half)
    robot.reset(0)
    for _ in range(3):
        assert not robot.command(robot.hold_action).interventions


def test_a_floating_robots_hands_can_be_commanded_in_its_base_frame() -> None:
    mode = HandPoseMode(compile_robot(UNITREE_G1), frame="base")
    state = at_home(UNITREE_G1)
    action = mode.reset(state)
    action[:3] += (0.05, 0.0, 0.05)
    for step in range(30):
        accepted = mode.begin(action, at_home(UNITREE_G1, step / UNITREE_G1.control_hz))
    assert not accepted.interventions
    moved = mode.update(state).position[:29] - state.joint_position[:29]
    assert np.abs(moved).max() > 0.02
    assert not moved[:12].any(), "the legs are no part of it"


def test_nonsense_in_the_configuration_is_refused() -> None:
    wrong: dict[str, Any] = {
        "linear_speed": 0.0,
        "angular_acceleration": 0.0,
        "leash_m": -1.0,
        "control_hz": -5.0,
        "workspace_low": (0.0, 1.0),
    }
    for name, value in wrong.items():
        with pytest.raises(ConfigError):
            FollowConfig(**{name: value})


class CircleOfTheHand:
    """A script in hand poses: a circle in the vertical plane, closing the gripper half way; chunks of 4 steps."""

    history = 1

    def __init__(self, hold: np.ndarray) -> None:
        self._hold = hold
        self.reset("", 0)

    def reset(self, instruction: str, seed: int) -> None:
        self.step = 0

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        rows = []
        for _ in range(4):
            self.step += 1
            angle = 2 * np.pi * min(1.0, self.step / 150)
            row = self._hold.copy()
            row[1:3] += 0.05 * np.array([np.sin(angle), np.cos(angle) - 1.0])
            row[-1] = 1.0 if self.step < 75 else 0.0
            rows.append(row)
        return ActionChunk(np.array(rows))


def joints_in_scene(robot: MujocoRobot) -> RobotModel:
    return compile_robot(robot.spec, lambda made: robot.task.furnish(made, robot.spec))


def test_a_script_of_hand_poses_runs_on_a_robot_that_takes_joints() -> None:
    by_pose, by_joint = simulated("panda", HandPoseMode), simulated("panda", None)
    tracks = []
    for robot in (by_pose, by_joint):
        robot.reset(2)
        by_pose.reset(2)
        script = CircleOfTheHand(by_pose.hold_action.copy())
        driver = script
        if robot is by_joint:
            scene = joints_in_scene(robot)
            driver = InJointPositions(script, HandPoseMode(scene), scene, robot.embodiment)
            driver.reset("", 0)
        track = []
        for _ in range(40):
            for action in driver.act([robot.observe()]).actions:
                robot.command(action)
                track.append(np.concatenate([seen(robot, "hand_position"), seen(robot, "gripper_opening")]))
        tracks.append(np.array(track))
    assert tracks[0] == pytest.approx(tracks[1], abs=1e-4)
    assert np.ptp(tracks[1][:, 1]) == pytest.approx(0.1, abs=3e-3)
    assert tracks[1][-1, 3] < 0.05


def test_the_adapter_refuses_a_robot_that_takes_no_joints() -> None:
    robot = simulated("panda", HandPoseMode)
    script = CircleOfTheHand(robot.hold_action)
    with pytest.raises(ConfigError, match="does not take joint positions"):
        InJointPositions(script, HandPoseMode(robot.robot), robot.robot, robot.embodiment)
    taking = simulated("panda", None)
    taking.reset(0)
    wrong = InJointPositions(script, HandStepMode(taking.robot), taking.robot, taking.embodiment)
    with pytest.raises(ConfigError, match="fields of its action mode"):
        wrong.act([taking.observe()])
