"""LocoMan's trot and loco-manipulation: the gait, the way of a foot, and walking on a floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.locoman.body import LocoManBody
from robot_stack.sim.control.locoman.estimate import LegOdometry
from robot_stack.sim.control.locoman.footholds import HIPS
from robot_stack.sim.control.locoman.gait import Gait, GaitConfig
from robot_stack.sim.control.locoman.loco_manipulation import LocoManipulation, risen
from robot_stack.sim.control.locoman.machine import ModeMachine
from robot_stack.sim.control.locoman.mode import HandTarget, Target
from robot_stack.sim.control.locoman.stance import Stance
from robot_stack.sim.control.locoman.swing import swing_motion
from robot_stack.sim.control.locoman.trot import Trot
from robot_stack.sim.control.whole_body.rotations import (
    matrix_of,
    product,
    quaternion_from_rpy,
    quaternion_from_vector,
    rotation_vector,
    yaw_of,
)
from tests.sim.control.locoman_floor import Floor

TICK_S = 0.002


@pytest.fixture(scope="module")
def floor():
    return Floor()


class Walker:
    """A mode that walks on the floor, and what was seen of it."""

    def __init__(self, floor, mode, most_tilt=0.2, least_height=0.24, calm=True):
        floor.reset()
        floor.push(np.zeros(3))
        self.floor, self.mode = floor, mode
        self.bounds = most_tilt, least_height
        self.calm = calm
        """Nothing but feet may touch anything, and no torque beyond its limit be asked for."""
        self.asked = 0.0
        """Largest torque asked for, before any clipping, as a share of the joint's limit."""
        self.lowest = np.inf
        self.tilt = 0.0
        self.strange: set[str] = set()
        """Geoms other than feet that touched something."""
        mode.enter(floor.state())

    def go(self, seconds, velocity=(0.0, 0.0, 0.0), **target):
        floor, model = self.floor, self.floor.model
        wanted = replace(self.mode.rest(), base_velocity=np.array(velocity), **target)
        for tick in range(round(seconds / TICK_S)):
            state = floor.state()
            command = self.mode.update(state, wanted)
            self._look(state, command)
            floor.apply(command)
            for contact in floor.data.contact if tick % 5 == 0 else ():
                names = {model.geom(g).name for g in (contact.geom1, contact.geom2)}
                self.strange |= {n for n in names if n != "floor" and not n.endswith("_foot")}
        assert self.tilt < self.bounds[0] and self.lowest > self.bounds[1]
        assert not self.calm or (self.asked <= 1.0 and not self.strange)

    def _look(self, state: RobotState, command: JointCommand):
        torque = (
            command.effort
            + command.stiffness * (command.position - state.joint_position)
            + command.damping * (command.velocity - state.joint_velocity)
        )
        assert np.isfinite(torque).all()
        self.asked = max(self.asked, float((np.abs(torque) / self.floor.effort)[:18].max()))
        self.lowest, self.tilt = min(self.lowest, self.floor.height), max(self.tilt, self.floor.tilt)

    @property
    def place(self):
        return self.floor.data.qpos[:2].copy()

    @property
    def heading(self):
        return yaw_of(self.floor.data.body("trunk").xmat.reshape(3, 3))

    @property
    def feet_in_trunk(self):
        """Where the feet are under the trunk, in its heading, shape ``(4, 2)``."""
        feet = np.array([self.floor.data.site(f).xpos[:2] for f in ("FR", "FL", "RR", "RL")]) - self.place
        c, s = np.cos(self.heading), np.sin(self.heading)
        return feet @ np.array(((c, -s), (s, c)))


def test_the_gait_keeps_diagonals_together_and_shifts_load_smoothly():
    gait = Gait(GaitConfig())
    assert gait.all_stand and not gait.stepping
    gait.advance(1.0)
    assert gait.all_stand, "a gait that was not started does not step"
    gait.start()
    stood, load, steps = np.zeros(4), gait.load.copy(), np.zeros(4, dtype=int)
    ticks = round(4 * gait.config.period_s / TICK_S)
    for _ in range(ticks):
        before = gait.stands.copy()
        gait.advance(TICK_S)
        assert gait.stands[0] == gait.stands[3] and gait.stands[1] == gait.stands[2]
        assert gait.stands[0] or gait.stands[1], "one diagonal always stands"
        assert abs(gait.load - load).max() <= 1.5 * TICK_S / gait.config.load_s
        assert ((gait.load > 0) <= gait.stands).all() and ((gait.swing > 0) <= ~gait.stands).all()
        assert gait.load.sum() > 1.5, "together they always bear the weight"
        stood, load, steps = stood + gait.stands, gait.load.copy(), steps + (before & ~gait.stands)
    np.testing.assert_allclose(stood[1:3] / ticks, gait.config.duty, atol=0.01)
    assert (steps == 4).all()
    gait.stop()
    assert gait.all_stand and (gait.load == 1.0).all()


def test_a_swing_starts_and_ends_at_rest_and_its_derivatives_are_consistent():
    start, end, h = np.array([0.1, -0.2, 0.02]), np.array([0.25, -0.17, 0.03]), 1e-6
    for share in np.linspace(0.02, 0.98, 33):
        here, near = (swing_motion(start, end, 0.06, s, 0.2) for s in (share, share + h))
        before = swing_motion(start, end, 0.06, share - h, 0.2)
        np.testing.assert_allclose((near.position - before.position) / (2 * h * 0.2), here.velocity, atol=1e-6)
        np.testing.assert_allclose((near.velocity - before.velocity) / (2 * h * 0.2), here.acceleration, atol=1e-3)
    first, top, last = (swing_motion(start, end, 0.06, s, 0.2) for s in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(first.position, start)
    np.testing.assert_allclose(last.position, end)
    assert abs(top.position[2] - 0.09) < 1e-12 and not first.velocity.any() and abs(last.velocity).max() < 1e-12


def test_trots_five_metres_straight_and_at_the_right_speed(floor):
    walker = Walker(floor, Trot(floor.alone))
    walker.go(1.0, (0.4, 0.0, 0.0))
    begin, since = walker.place, floor.data.time
    walker.go(11.25, (0.4, 0.0, 0.0))
    way = walker.place - begin
    assert walker.place[0] > 4.5
    assert abs(way[0] / (floor.data.time - since) - 0.4) < 0.04
    walker.go(2.0)
    assert walker.place[0] > 4.7 and abs(walker.place[1]) < 0.1 and abs(walker.heading) < 0.1


@pytest.mark.parametrize("rate", [1.0, pytest.param(-1.0, marks=pytest.mark.slow)])
def test_turns_a_quarter_in_place(floor, rate):
    walker = Walker(floor, Trot(floor.alone))
    walker.go(0.5 * np.pi / abs(rate), (0.0, 0.0, rate))
    walker.go(1.0)
    assert abs(walker.heading - np.sign(rate) * 0.5 * np.pi) < np.deg2rad(5)
    assert np.linalg.norm(walker.place) < 0.08


@pytest.mark.parametrize("speed", [-0.25, pytest.param(0.25, marks=pytest.mark.slow)])
def test_walks_sideways(floor, speed):
    walker = Walker(floor, Trot(floor.alone))
    walker.go(3.0, (0.0, speed, 0.0))
    assert abs(walker.place[1] - 3.0 * speed) < 0.1
    assert abs(walker.place[0]) < 0.08 and abs(walker.heading) < 0.08


@pytest.mark.slow
def test_walks_backwards_and_in_a_circle(floor):
    walker = Walker(floor, Trot(floor.alone))
    walker.go(2.5, (-0.3, 0.0, 0.0))
    assert abs(walker.place[0] + 0.75) < 0.12 and abs(walker.place[1]) < 0.05
    begin, heading = walker.place, walker.heading
    walker.go(2.0 * np.pi / 1.0, (0.3, 0.0, 1.0))
    walker.go(1.0)
    assert np.linalg.norm(walker.place - begin) < 0.25, "a full circle comes back"
    assert abs((walker.heading - heading + np.pi) % (2 * np.pi) - np.pi) < np.deg2rad(12)


def test_stops_stepping_with_the_feet_under_the_hips_and_can_be_left(floor):
    mode = Trot(floor.alone)
    walker = Walker(floor, mode)
    walker.go(0.8, (0.4, 0.2, 0.5))
    assert not mode.left
    mode.leave()
    assert not mode.ready
    walker.go(1.6, (0.4, 0.2, 0.5))  # the command counts no more
    assert mode.left
    before = walker.feet_in_trunk
    walker.go(0.2)
    np.testing.assert_allclose(walker.feet_in_trunk, before, atol=0.002)
    assert np.hypot(*(before - np.array(HIPS)).T).max() < 0.04
    assert (floor.state().foot_force > 15.0).all()
    np.testing.assert_allclose(floor.data.qpos[floor.robot.qpos][3:6], [-np.pi, -0.05, 0.0], atol=0.1)


def test_height_and_tilt_follow_the_target_while_trotting(floor):
    walker = Walker(floor, Trot(floor.alone))
    target = {"body_position": np.array([0.0, 0.0, -0.03]), "body_rpy": np.array([0.0, 0.12, 0.0])}
    walker.go(1.4, (0.2, 0.0, 0.0), **target)
    pitch = np.arcsin(-floor.data.body("trunk").xmat.reshape(3, 3)[2, 0])
    assert abs(pitch - 0.12) < 0.04 and abs(floor.height - 0.25) < 0.015


@pytest.mark.parametrize(
    "angle", [pytest.param(a, marks=() if a == 270 else pytest.mark.slow) for a in range(0, 360, 45)]
)
def test_steps_out_of_a_push_of_20_newton_seconds(floor, angle):
    walker = Walker(floor, Trot(floor.alone), most_tilt=0.4, least_height=0.2, calm=False)
    walker.go(0.2)
    floor.push(200.0 * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0.0]))
    walker.go(0.1)
    floor.push(np.zeros(3))
    walker.go(1.6)
    assert floor.tilt < 0.05 and abs(floor.height - 0.28) < 0.02
    assert np.linalg.norm(floor.data.qvel[:2]) < 0.25


def test_the_same_start_gives_the_same_walk(floor):
    ends = []
    for _ in range(2):
        walker = Walker(floor, Trot(floor.alone))
        walker.go(0.4, (0.4, 0.1, 0.3))
        ends.append(floor.data.qpos.copy())
    np.testing.assert_array_equal(*ends)


def test_loco_manipulation_holds_the_grippers_orientations(floor):
    mode = LocoManipulation(floor.alone)
    walker = Walker(floor, mode)
    walker.go(0.5, (0.3, 0.0, 0.0))
    assert not mode.ready and abs(walker.place[0]) < 0.01, "stands until the manipulators are out"
    walker.go(1.1, (0.3, 0.0, 0.0))
    assert mode.ready
    worst = []
    for asked in (None, quaternion_from_rpy(np.array([0.2, -0.4, 0.1]))):
        hand = HandTarget(np.zeros(3), np.array(mode.carry.orientation) if asked is None else asked)
        walker.go(0.8, (0.3, 0.0, 0.4), right_hand=hand)
        for _ in range(50):
            walker.go(0.01, (0.3, 0.0, 0.4), right_hand=hand)
            wanted = product(quaternion_from_vector(np.array([0.0, 0.0, walker.heading])), hand.orientation)
            now = floor.data.site("right_hand").xmat.reshape(3, 3)
            worst.append(np.linalg.norm(rotation_vector(matrix_of(wanted) @ now.T)))
    assert np.rad2deg(np.max(worst)) < 8.0 and np.rad2deg(np.mean(worst)) < 4.0
    mode.leave()
    walker.go(3.2)
    assert mode.left
    np.testing.assert_allclose(floor.data.qpos[floor.robot.qpos][3:6], [-np.pi, -0.05, 0.0], atol=0.1)


def test_grippers_are_kept_off_the_floor():
    random = generator(2)
    for _ in range(200):
        asked = quaternion_from_rpy(random.uniform(-np.pi, np.pi, 3))
        given = risen(asked, 0.15)
        before, after = matrix_of(asked)[:, 0], matrix_of(given)[:, 0]
        if before[2] >= 0.15:
            np.testing.assert_array_equal(given, asked)
            continue
        assert abs(after[2] - 0.15) < 1e-9
        turn = np.linalg.norm(rotation_vector(matrix_of(given) @ matrix_of(asked).T))
        assert abs(turn - (np.arcsin(0.15) - np.arcsin(before[2]))) < 1e-6, "no further than it must"
    down = matrix_of(risen(quaternion_from_rpy(np.array([0.0, 0.5 * np.pi, 0.0])), 0.15))[:, 0]
    assert abs(down[2] - 0.15) < 1e-9 and down[0] > 0.98


@pytest.mark.slow
def test_walks_on_whatever_the_hands_are_asked(floor):
    mode, random = LocoManipulation(floor.alone), generator(4)
    walker = Walker(floor, mode, calm=False)
    walker.go(1.6)
    for _ in range(12):
        hands = [HandTarget(np.zeros(3), quaternion_from_rpy(random.uniform(-np.pi, np.pi, 3))) for _ in range(2)]
        walker.go(1.5, (0.3, 0.1, 0.3), right_hand=hands[0], left_hand=hands[1])
    mode.leave()
    walker.go(4.0)
    assert mode.left


def test_walks_by_what_a_real_robot_measures(floor):
    floor.reset()
    machine = ModeMachine(
        {"stance": Stance(LocoManBody(floor.alone)), "locomotion": Trot(floor.alone)},
        estimate=(odometry := LegOdometry(floor.alone)),
    )
    machine.reset(floor.state())
    machine.request("locomotion")
    target, errors, unknown = Target(base_velocity=np.array([0.3, 0.0, 0.2])), [], np.full(3, 1e3)
    for tick in range(1500):
        truth = floor.state()
        floor.apply(machine.update(replace(truth, p_world_base=unknown, v_world_base=unknown), target))
        if tick > 500 and tick % 10 == 0:
            seen = odometry.update(replace(truth, p_world_base=unknown, v_world_base=unknown))
            errors.append(
                np.append(seen.v_world_base - truth.v_world_base, seen.p_world_base[2] - truth.p_world_base[2])
            )
            assert np.linalg.norm(seen.p_world_base - truth.p_world_base) < 0.1
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    assert rms[:2].max() < 0.06 and rms[3] < 0.005
    assert floor.tilt < 0.1 and np.linalg.norm(floor.data.qpos[:2]) > 0.6


def test_grippers_open_a_little_while_walking(floor):
    walker = Walker(floor, Trot(floor.alone))
    walker.go(0.6, (0.3, 0.0, 0.0), grippers=np.array([0.5, 0.0]))
    jaw = {side: floor.data.joint(f"{prefix}_jaw_1").qpos[0] for side, prefix in (("right", "1_FR"), ("left", "2_FL"))}
    assert abs(jaw["right"] - 0.15 * 0.9) < 0.03, "further open, a folded gripper would meet the calf"
    assert abs(jaw["left"]) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("friction,mass", [(0.5, 1.0), (0.8, 2.5), (1.0, 0.8)])
def test_trots_when_the_model_is_wrong(friction, mass):
    floor = Floor()
    arms = [floor.model.body(f"{p}_{part}").id for p in ("1_FR", "2_FL") for part in ("link_2", "link_3", "eef")]
    floor.model.body_mass[arms] *= mass
    floor.model.body_inertia[arms] *= mass
    for foot in ("FR", "FL", "RR", "RL"):
        floor.model.geom(f"{foot}_foot").friction[0] = friction
    walker = Walker(floor, Trot(floor.alone))
    for velocity in ((0.4, 0.0, 0.0), (0.0, 0.25, 0.0), (0.2, 0.0, 0.8), (-0.3, 0.0, 0.0)):
        walker.go(3.0, velocity)
    walker.go(2.0)
    assert walker.floor.tilt < 0.03
