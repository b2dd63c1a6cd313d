"""Differential inverse kinematics: accuracy, limits, clearance, singularities, out of reach, nonsense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from robot_stack.core.seeding import generator
from robot_stack.sim.control.differential_ik import DifferentialIk, IkConfig
from robot_stack.sim.control.hand_kinematics import HandKinematics, HandPoses
from robot_stack.sim.robots.aloha import ALOHA
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.panda import PANDA
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

PERIOD_S = 0.02
ROBOTS = pytest.mark.parametrize("spec", [PANDA, ALOHA], ids=lambda spec: spec.name)
HALF_DEGREE = np.deg2rad(0.5)


def at(
    poses: HandPoses, way: np.ndarray | tuple[float, ...] = (0.0, 0.0, 0.0), turn: Rotation | None = None
) -> HandPoses:
    """Poses moved by ``way`` and turned by ``turn``, both in base axes."""
    rotation = poses.R_base_hand if turn is None else turn.as_matrix() @ poses.R_base_hand
    return HandPoses(poses.p_base_hand + np.asarray(way), rotation)


def random_joints(spec: RobotSpec, kinematics: HandKinematics, rng: np.random.Generator, spread: float) -> np.ndarray:
    """Joints about home, within limits and with links well apart."""
    while True:
        joints = spec.home.copy()
        moved = joints[kinematics.joints] + spread * rng.normal(size=len(kinematics.joints))
        joints[kinematics.joints] = np.clip(moved, kinematics.low, kinematics.high)
        kinematics.place(joints)
        if kinematics.proximity().least_m > 0.02:
            return joints


class Watch:
    """Follows targets and asserts after every step what must always hold."""

    def __init__(self, ik: DifferentialIk, start: np.ndarray) -> None:
        self.ik, self.joints = ik, start
        kinematics = ik.kinematics
        self.fixed = np.setdiff1d(np.arange(len(start)), kinematics.joints)
        self.most = kinematics.velocity * ik.period_s * (1 + 1e-9)
        self.judge = HandKinematics(kinematics.spec, tuple(h.name for h in kinematics.hands), watch_m=0.05)
        self.largest_error = np.zeros(2)

    def follow(self, target: HandPoses) -> None:
        kinematics, before = self.ik.kinematics, self.joints
        step = self.ik.step(before, target)
        moved = step.joint_position[kinematics.joints]
        assert np.isfinite(step.joint_position).all()
        assert (moved >= kinematics.low).all() and (moved <= kinematics.high).all()
        assert (np.abs(moved - before[kinematics.joints]) <= self.most).all(), "faster than the joints"
        assert np.array_equal(step.joint_position[self.fixed], before[self.fixed])
        assert step.largest_change == pytest.approx(np.abs(step.joint_position - before).max(), abs=1e-9)
        self.joints = step.joint_position
        self.errors = np.array([step.position_error_m.max(), step.rotation_error_rad.max()])
        self.largest_error = np.maximum(self.largest_error, self.errors)

    def assert_apart(self) -> None:
        self.judge.place(self.joints)
        assert self.judge.proximity().least_m >= self.ik.config.clearance_m - 1e-6


@ROBOTS
def test_jacobian_and_distances_agree_with_finite_differences(spec: RobotSpec) -> None:
    kinematics, rng = HandKinematics(spec, watch_m=0.2), generator(0)
    seen = 0
    for _ in range(10):
        joints = random_joints(spec, kinematics, rng, 0.6)
        kinematics.place(joints)
        jacobian, poses, near = kinematics.jacobian().copy(), kinematics.poses(), kinematics.proximity()
        for column, joint in enumerate(kinematics.joints):
            moved = joints.copy()
            moved[joint] += 1e-6
            kinematics.place(moved)
            assert -kinematics.errors(poses).reshape(-1) / 1e-6 == pytest.approx(jacobian[:, column], abs=1e-4)
            after = dict(zip(kinematics.proximity().names, kinematics.proximity().distance_m, strict=True))
            for row, names in enumerate(near.names):
                if near.distance_m[row] > 0.001 and names in after:
                    slope = (after[names] - near.distance_m[row]) / 1e-6
                    # nearest points of boxes may jump along an edge: the slope there is between two one-sided ones
                    seen += abs(slope - near.jacobian[row, column]) < 1e-3
                    assert abs(slope - near.jacobian[row, column]) < 0.3
    assert seen > 50


@pytest.mark.parametrize("spec", [PANDA, ALOHA, LOCOMAN], ids=lambda spec: spec.name)
def test_bend_is_the_second_derivative_of_the_hands_motion(spec: RobotSpec) -> None:
    kinematics, rng, step = HandKinematics(spec), generator(4), 2e-4
    joints = spec.home + 0.1
    kinematics.place(joints)
    poses, way = kinematics.poses(), rng.normal(size=(len(kinematics.hands), 6))
    kinematics.jacobian()
    bend = kinematics.bend(way)

    def along(change: np.ndarray) -> float:
        moved = joints.copy()
        moved[kinematics.joints] += change
        kinematics.place(moved)
        return -float((way * kinematics.errors(poses)).sum())

    unit = step * np.eye(len(bend))
    for row in unit:
        for other in unit:
            crossed = along(row + other) - along(row - other) - along(other - row) + along(-row - other)
            i, j = int(row.argmax()), int(other.argmax())
            assert crossed / (4 * step * step) == pytest.approx(bend[i, j], abs=1e-5)


@ROBOTS
def test_reachable_poses_are_tracked_within_a_millimetre_and_half_a_degree(spec: RobotSpec) -> None:
    """Poses of a smooth joint motion from home to a random posture, taken in 2 s."""
    ik, rng = DifferentialIk(spec, PERIOD_S), generator(1)
    for _ in range(8):
        goal = random_joints(spec, ik.kinematics, rng, 0.5)
        watch = Watch(ik, spec.home)
        for share in np.linspace(0.0, 1.0, 100):
            smooth = share * share * (3 - 2 * share)
            joints = spec.home + smooth * (goal - spec.home)
            target = ik.forward(joints)
            if ik.kinematics.proximity().least_m < 0.02:
                break  # the motion itself touches the robot
            watch.follow(target)
        watch.assert_apart()
        assert (watch.largest_error < (1e-3, HALF_DEGREE)).all()


@ROBOTS
def test_fixed_targets_are_reached_from_home(spec: RobotSpec) -> None:
    ik, rng = DifferentialIk(spec, PERIOD_S), generator(2)
    for _ in range(12):
        goal = random_joints(spec, ik.kinematics, rng, 0.3)
        target = ik.forward(goal)
        found = ik.reach(spec.home, target, max_steps=250)
        assert found.position_error_m.max() < 1e-3 and found.rotation_error_rad.max() < HALF_DEGREE
        assert ik.forward(found.joint_position).p_base_hand == pytest.approx(target.p_base_hand, abs=1e-3)


def test_a_straight_line_stays_straight() -> None:
    ik = DifferentialIk(PANDA, PERIOD_S, config=IkConfig(linear_speed=0.25))
    home = ik.forward(PANDA.home)
    watch, way = Watch(ik, PANDA.home), np.array([0.15, -0.25, -0.2])
    track = []
    for _ in range(110):
        watch.follow(at(home, way, Rotation.from_rotvec([0.0, 0.0, 0.5])))  # all at once; the speed leads there
        track.append(ik.kinematics.poses().p_base_hand[0] - home.p_base_hand[0])
    track = np.array(track)
    along = way / np.linalg.norm(way)
    beside = np.linalg.norm(track - np.outer(track @ along, along), axis=1)
    assert beside.max() < 1e-3
    assert (np.diff(track @ along) > -1e-5).all(), "never backwards"
    speed = np.linalg.norm(np.diff(track, axis=0), axis=1) / PERIOD_S
    assert speed.max() < ik.config.linear_speed * 1.01
    assert (watch.errors < (1e-4, 1e-3)).all()


FAR: list[tuple[RobotSpec, tuple[float, float, float]]] = [
    (PANDA, (2.0, 0.0, 0.0)),
    (PANDA, (0.3, 0.5, 1.2)),
    (PANDA, (-1.0, 1.0, -3.0)),
    (ALOHA, (0.0, 1.0, 1.0)),
    (ALOHA, (1.0, -1.0, 2.0)),
]


@pytest.mark.parametrize(("spec", "way"), FAR, ids=lambda value: getattr(value, "name", None))
def test_out_of_reach_the_error_only_falls_and_the_arm_comes_to_rest(
    spec: RobotSpec, way: tuple[float, float, float]
) -> None:
    ik = DifferentialIk(spec, PERIOD_S)
    watch, target = Watch(ik, spec.home), at(ik.forward(spec.home), way)
    weight = ik.config.rotation_weight_m
    left, changes = [], []
    for _ in range(700):
        before = watch.joints
        watch.follow(target)
        error = ik.kinematics.errors(target)
        left.append(float(np.sqrt((error[:, :3] ** 2).sum() + weight**2 * (error[:, 3:] ** 2).sum())))
        changes.append(np.abs(watch.joints - before).max())
    assert (np.diff(left) <= 1e-6).all(), "the error only falls"
    assert max(changes[-50:]) < 1e-3, "at rest"
    watch.assert_apart()


def test_out_of_reach_the_nearest_pose_is_found() -> None:
    """No neighbour within the limits is better: checked with SciPy from where the arm stopped."""
    config = IkConfig(watch_m=0.0, clearance_m=0.0, spare_m=0.0)
    ik = DifferentialIk(PANDA, PERIOD_S, config=config)
    kinematics, home = ik.kinematics, ik.forward(PANDA.home)
    for way in ((1.0, 0.3, 0.0), (0.0, 0.0, 1.5), (0.3, -1.2, -0.2)):
        target = at(home, way)
        stopped = ik.reach(PANDA.home, target, max_steps=3000).joint_position

        def left(joints: np.ndarray, target: HandPoses = target) -> float:
            kinematics.place(joints)
            error = kinematics.errors(target)
            return float((error[:, :3] ** 2).sum() + config.rotation_weight_m**2 * (error[:, 3:] ** 2).sum())

        bounds = list(zip(kinematics.low, kinematics.high, strict=True))
        best = minimize(left, stopped, bounds=bounds, method="L-BFGS-B", options={"maxiter": 200})
        assert np.sqrt(left(stopped)) <= np.sqrt(best.fun) + 2e-4


def test_through_a_singularity_and_back() -> None:
    """Stretched out to where the elbow is nearly straight, past it, and home again: no oscillation, no other branch."""
    ik = DifferentialIk(PANDA, PERIOD_S)
    home, watch = ik.forward(PANDA.home), Watch(ik, PANDA.home)
    elbow = []
    for share in np.concatenate([np.linspace(0, 1, 120), np.ones(60), np.linspace(1, 0, 120), np.zeros(60)]):
        watch.follow(at(home, (0.7 * share, 0.0, 0.1 * share)))
        elbow.append(watch.joints[3])
    moves = np.diff(elbow)
    turns = np.diff(np.sign(moves[np.abs(moves) > 1e-4]))
    assert np.count_nonzero(turns) <= 2, "the elbow goes out and back once"
    assert watch.largest_error[0] > 0.1, "it was out of reach"
    assert (watch.errors < (1e-3, HALF_DEGREE)).all()
    assert np.abs(watch.joints - PANDA.home).max() < 0.2


def test_the_posture_is_approached_without_moving_the_hand() -> None:
    still = DifferentialIk(PANDA, PERIOD_S, config=IkConfig(posture_rate=0.0))
    target = still.forward(PANDA.home)
    turned = PANDA.home.copy()
    turned[[0, 2]] += (0.6, -0.6)
    away = still.reach(turned, target).joint_position  # the hand at its place, the elbow out to the side
    assert np.abs(away - PANDA.home).max() > 0.3
    assert np.abs(still.step(away, target).joint_position - away).max() < 1e-3
    ik, joints = DifferentialIk(PANDA, PERIOD_S), away
    for _ in range(400):
        step = ik.step(joints, target)
        joints = step.joint_position
        assert step.position_error_m[0] < 2e-4 and step.rotation_error_rad[0] < 1e-3
    assert np.abs(joints - PANDA.home).max() < 0.05


def test_hands_that_are_led_into_each_other_stay_apart() -> None:
    ik = DifferentialIk(ALOHA, PERIOD_S)
    poses, watch = ik.forward(ALOHA.home), Watch(ik, ALOHA.home)
    middle = poses.p_base_hand.mean(axis=0)
    nearest = np.inf
    for _ in range(200):
        watch.follow(HandPoses(np.stack([middle, middle]), poses.R_base_hand))
        watch.assert_apart()
        nearest = min(nearest, watch.judge.proximity().least_m)
    assert nearest < 0.02, "they did come near"
    blind = DifferentialIk(ALOHA, PERIOD_S, config=IkConfig(watch_m=0.0))
    joints = blind.reach(ALOHA.home, HandPoses(np.stack([middle, middle]), poses.R_base_hand), 200).joint_position
    watch.judge.place(joints)
    assert watch.judge.proximity().least_m < 0.0, "without the limit they would have met"


def test_hands_that_touch_can_still_be_led_along() -> None:
    ik = DifferentialIk(ALOHA, PERIOD_S)
    poses, watch = ik.forward(ALOHA.home), Watch(ik, ALOHA.home)
    middle = poses.p_base_hand.mean(axis=0)
    for _ in range(120):
        watch.follow(HandPoses(np.stack([middle, middle]), poses.R_base_hand))
    before = ik.kinematics.poses().p_base_hand
    for share in np.linspace(0.0, 1.0, 80):
        aim = middle + share * np.array([0.0, 0.04, 0.08])
        watch.follow(HandPoses(np.stack([aim, aim]), poses.R_base_hand))
        watch.assert_apart()
    moved = ik.kinematics.poses().p_base_hand - before
    assert moved[:, 1:] == pytest.approx(np.tile([0.04, 0.08], (2, 1)), abs=0.01)


def wild_targets(rng: np.random.Generator, home: HandPoses) -> Callable[[], HandPoses]:
    def draw() -> HandPoses:
        position = home.p_base_hand + rng.normal(size=home.p_base_hand.shape) * 10.0 ** rng.uniform(-4, 6)
        rotation = Rotation.from_rotvec(rng.normal(size=3) * 10.0 ** rng.uniform(-3, 1)).as_matrix()
        if rng.random() < 0.2:
            rotation = rotation + 1e-3 * rng.normal(size=(3, 3))  # not quite a rotation
        return HandPoses(position, np.broadcast_to(rotation, home.R_base_hand.shape).copy())

    return draw


@pytest.mark.parametrize(
    ("spec", "count"), [(PANDA, 7000), (ALOHA, 3000)], ids=lambda value: getattr(value, "name", None)
)
def test_wild_targets_never_make_a_wild_step(spec: RobotSpec, count: int) -> None:
    rng = generator(3)
    ik = DifferentialIk(spec, PERIOD_S)
    watch = Watch(ik, spec.home)
    draw = wild_targets(rng, ik.forward(spec.home))
    target = draw()
    for number in range(count):
        if rng.random() < 0.2:
            target = draw()
        watch.follow(target)
        if number % 20 == 0:
            watch.assert_apart()


BAD_ROTATION = (np.full((1, 3, 3), np.nan), np.zeros((1, 3, 3)), -np.eye(3)[None], np.full((1, 3, 3), np.inf))


@pytest.mark.parametrize("rotation", BAD_ROTATION, ids=["nan", "zeros", "mirror", "infinite"])
def test_a_target_that_is_no_pose_is_refused(rotation: np.ndarray) -> None:
    ik = DifferentialIk(PANDA, PERIOD_S)
    with pytest.raises(NonFiniteError):
        ik.step(PANDA.home, HandPoses(np.zeros((1, 3)), rotation))


def test_nonsense_is_refused_with_what_was_expected() -> None:
    ik = DifferentialIk(PANDA, PERIOD_S)
    home = ik.forward(PANDA.home)
    with pytest.raises(NonFiniteError, match="target pose"):
        ik.step(PANDA.home, HandPoses(np.array([[0.0, np.inf, 0.0]]), home.R_base_hand))
    with pytest.raises(NonFiniteError, match="joint3"):
        ik.step(np.where(np.arange(7) == 2, np.nan, PANDA.home), home)
    with pytest.raises(ShapeError, match=r"\(1, 3\)"):
        ik.step(PANDA.home, HandPoses(np.zeros((2, 3)), home.R_base_hand))
    with pytest.raises(ShapeError):
        ik.step(np.zeros(9), home)
    with pytest.raises(UnknownNameError, match="did you mean 'hand'"):
        DifferentialIk(PANDA, PERIOD_S, ("hnd",))
    with pytest.raises(ConfigError, match="positive period"):
        DifferentialIk(PANDA, 0.0)
    with pytest.raises(ConfigError):
        IkConfig(watch_m=0.005)
    with pytest.raises(ConfigError):
        IkConfig(velocity_share=1.5)
    with pytest.raises(ConfigError):
        IkConfig(damping_m=())


def test_joints_outside_their_limits_are_led_back_no_faster_than_they_may_move() -> None:
    ik = DifferentialIk(PANDA, PERIOD_S)
    kinematics, target = ik.kinematics, ik.forward(PANDA.home)
    joints = PANDA.home.copy()
    joints[3] = kinematics.high[3] + 0.3
    for _ in range(20):
        moved = ik.step(joints, target).joint_position
        assert np.abs(moved - joints).max() <= kinematics.velocity.max() * PERIOD_S * (1 + 1e-9)
        assert moved[3] < joints[3] or moved[3] <= kinematics.high[3]
        joints = moved
    assert joints[3] <= kinematics.high[3]


def test_one_hand_of_two_moves_alone() -> None:
    ik = DifferentialIk(ALOHA, PERIOD_S, ("right_hand",))
    watch = Watch(ik, ALOHA.home)
    target = at(ik.forward(ALOHA.home), (-0.05, 0.03, 0.05))
    for _ in range(60):
        watch.follow(target)
    assert watch.errors[0] < 1e-4
    assert np.array_equal(watch.joints[:6], ALOHA.home[:6])


@pytest.mark.parametrize("spec", [LOCOMAN, UNITREE_G1], ids=lambda spec: spec.name)
def test_a_floating_base_counts_as_fixed(spec: RobotSpec) -> None:
    ik = DifferentialIk(spec, PERIOD_S)
    target = at(ik.forward(spec.home), (0.02, 0.0, 0.02))
    found = ik.reach(spec.home, target, max_steps=150)
    assert found.position_error_m.max() < 1e-3 and found.rotation_error_rad.max() < HALF_DEGREE


@ROBOTS
def test_a_small_step_agrees_with_mink(spec: RobotSpec) -> None:
    """Near the target, without posture and collisions, both solve the same problem."""
    mink = pytest.importorskip("mink")
    from robot_stack.sim.robots.model import compile_robot

    config = IkConfig(posture_rate=0.0, watch_m=0.0, damping_m=(0.0,), least_damping=1e-6)
    ik, robot = DifferentialIk(spec, PERIOD_S, config=config), compile_robot(spec)
    configuration = mink.Configuration(robot.model, robot.home_qpos())
    target = at(ik.forward(spec.home), (1e-4, -5e-5, 8e-5), Rotation.from_rotvec([1e-4, 2e-4, -1e-4]))
    tasks = []
    for row, hand in enumerate(spec.end_effectors):
        task = mink.FrameTask(hand.site, "site", 1.0, config.rotation_weight_m)
        rotation = mink.SO3.from_matrix(target.R_base_hand[row])
        task.set_target(mink.SE3.from_rotation_and_translation(rotation, target.p_base_hand[row]))
        tasks.append(task)
    limits = [
        mink.ConfigurationLimit(robot.model),
        mink.VelocityLimit(robot.model, {j.name: j.velocity for j in spec.driven}),
    ]
    theirs = mink.solve_ik(configuration, tasks, PERIOD_S, "daqp", damping=1e-6, limits=limits) * PERIOD_S
    ours = ik.step(spec.home, target).joint_position - spec.home
    assert np.abs(ours).max() > 1e-4
    assert ours == pytest.approx(theirs[robot.dof[: len(spec.joints)]], abs=1e-6)
