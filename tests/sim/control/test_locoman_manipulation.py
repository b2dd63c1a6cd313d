"""LocoMan manipulates: each gripper and each front foot on three feet, both grippers sitting on the hind legs.

Every mode draws a circle of 10 cm diameter in the frontal plane (y, z) in 5 s with the hand's orientation held, and the
mean distance to the point commanded at that moment stays below 1 cm. Nothing but feet (and hind calves) touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.locoman.bimanual import BimanualMode, Seat, lean_at
from robot_stack.sim.control.locoman.body import LocoManBody
from robot_stack.sim.control.locoman.manipulation import left_foot, left_gripper, right_foot, right_gripper
from robot_stack.sim.control.locoman.mode import MODES, HandTarget, Target
from robot_stack.sim.control.whole_body.rotations import matrix_of, rotation_vector
from robot_stack.sim.robots.locoman import LOCOMAN
from tests.sim.control.locoman_floor import Floor

RADIUS_M = 0.05
PERIOD_S = 5.0
HANDS = ("right_hand", "left_hand")


@pytest.fixture(scope="module")
def floor() -> Floor:
    return Floor()


@pytest.fixture(scope="module")
def body(floor: Floor) -> LocoManBody:
    return LocoManBody(floor.alone)


def touching(floor: Floor) -> set[str]:
    """Geoms that touch something, without the floor, the feet and the hind calves."""
    names = {floor.model.geom(number).name for contact in floor.data.contact for number in contact.geom}
    fine = ("floor", "FR_foot", "FL_foot", "RR_foot", "RL_foot", "RR_calf_0", "RL_calf_0")
    return names.difference(fine)


class Run:
    """One mode on the floor, watched tick by tick."""

    def __init__(self, floor: Floor, mode: Any) -> None:
        floor.reset()
        self.floor, self.mode = floor, mode
        mode.enter(floor.state())
        feet = np.stack([floor.data.site_xpos[floor.robot.site(name)] for name in LOCOMAN.feet])
        self.origin = feet.mean(axis=0) - (0.0, 0.0, 0.02)
        self.rest: Target = mode.rest()
        self.touched: set[str] = set()

    def tick(self, target: Target) -> JointCommand:
        command = self.mode.update(self.floor.state(), target)
        self.floor.apply(command)
        self.touched |= touching(self.floor)
        return command

    def until(self, done: Callable[[], bool], most_s: float, target: Target | None = None) -> None:
        for _ in range(round(most_s / 0.002)):
            if done():
                return
            self.tick(self.rest if target is None else target)
        raise AssertionError(f"{self.mode.name} did not get there; trunk at {self.floor.height:.3f} m")

    def make_ready(self) -> None:
        self.until(lambda: self.mode.ready, 8.0)

    def come_back(self) -> None:
        """Leave, and stand on four feet with the arms folded."""
        self.mode.leave()
        self.until(lambda: self.mode.left, 10.0)
        state = self.floor.state()
        assert self.floor.height == pytest.approx(LOCOMAN.home_height_m, abs=0.01)
        assert self.floor.tilt < 0.02
        np.testing.assert_allclose(state.joint_position[:18], LOCOMAN.home, atol=0.06)

    def circle(self, hands: tuple[int, ...], sites: tuple[str, ...], radius: float = RADIUS_M) -> np.ndarray:
        """Draw a circle and a fifth; distances and angles of each hand after the first second, (ticks, hands, 2)."""
        off = []
        for k in range(round(1.2 * PERIOD_S / 0.002)):
            angle = 2 * np.pi * 0.002 * k / PERIOD_S
            offset = min(0.002 * k, 1.0) * radius * np.array([0.0, np.sin(angle), np.cos(angle)])
            wanted = {}
            for hand in hands:
                rest = getattr(self.rest, HANDS[hand])
                wanted[HANDS[hand]] = HandTarget(rest.position + offset * (1, 1 - 2 * hand, 1), rest.orientation)
            self.tick(replace(self.rest, **wanted))
            if k >= 500:
                off.append([self.distance(wanted[HANDS[h]], site) for h, site in zip(hands, sites, strict=True)])
        return np.array(off)

    def distance(self, wanted: HandTarget, site: str) -> tuple[float, float]:
        number = self.floor.robot.site(site)
        place = self.floor.data.site_xpos[number] - self.origin
        turn = matrix_of(wanted.orientation) @ self.floor.data.site_xmat[number].reshape(3, 3).T
        return float(np.linalg.norm(place - wanted.position)), float(np.linalg.norm(rotation_vector(turn)))


def check_circle(run: Run, off: np.ndarray, *, turned: bool = True) -> None:
    distance, angle = off[..., 0], off[..., 1]
    assert distance.mean() < 0.01
    assert distance.max() < 0.015
    if turned:
        assert angle.max() < 0.05
    assert not run.touched, f"touched: {sorted(run.touched)}"
    assert run.floor.largest_share <= 1.0


@pytest.mark.parametrize(
    ("make", "hand", "site"),
    [(right_gripper, 0, "right_hand"), (left_foot, 1, "FL")],
    ids=["right_gripper", "left_foot"],
)
def test_one_limb_draws_a_circle(floor: Floor, body: LocoManBody, make: Any, hand: int, site: str) -> None:
    run = Run(floor, make(body))
    run.make_ready()
    check_circle(run, run.circle((hand,), (site,)), turned=site.endswith("hand"))
    assert floor.tilt < 0.02
    run.come_back()


@pytest.mark.slow
@pytest.mark.parametrize(("make", "hand", "site"), [(left_gripper, 1, "left_hand"), (right_foot, 0, "FR")])
def test_the_other_limbs_draw_circles(floor: Floor, body: LocoManBody, make: Any, hand: int, site: str) -> None:
    test_one_limb_draws_a_circle(floor, body, make, hand, site)


def test_sits_up_draws_circles_with_both_grippers_and_comes_down(floor: Floor, body: LocoManBody) -> None:
    run = Run(floor, BimanualMode(body))
    run.make_ready()
    assert floor.tilt == pytest.approx(1.1, abs=0.03)
    check_circle(run, run.circle((0, 1), HANDS))
    run.come_back()
    assert floor.largest_share < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("make", [right_gripper, left_foot, BimanualMode])
def test_bears_knocks(floor: Floor, body: LocoManBody, make: Any) -> None:
    """3 N·s at the trunk within 0.1 s, from eight sides, one after the other, while the limb is up."""
    run = Run(floor, make(body))
    run.make_ready()
    tilt = floor.tilt
    for side in np.arange(8) * np.pi / 4:
        floor.push(30.0 * np.array([np.cos(side), np.sin(side), 0.0]))
        for _ in range(50):
            run.tick(run.rest)
        floor.push(np.zeros(3))
        for _ in range(750):
            run.tick(run.rest)
        assert floor.tilt == pytest.approx(tilt, abs=0.03), f"pushed towards {np.degrees(side):.0f} degrees"
    run.mode.leave()
    run.until(lambda: run.mode.left, 10.0)
    assert floor.height == pytest.approx(LOCOMAN.home_height_m, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("make", [right_gripper, left_gripper])
def test_wide_circles_sideways_of_a_gripper(floor: Floor, body: LocoManBody, make: Any) -> None:
    """What lies beyond reach or the floor is approached, not reached, and nothing falls: 20 cm diameter."""
    run = Run(floor, make(body))
    hand = int(make is left_gripper)
    run.make_ready()
    run.circle((hand,), (HANDS[hand],), radius=0.1)
    assert floor.tilt < 0.05
    run.come_back()


@pytest.mark.parametrize("after_s", [1.6])
def test_may_be_left_before_it_is_ready(floor: Floor, body: LocoManBody, after_s: float) -> None:
    run = Run(floor, right_gripper(body))
    for _ in range(round(after_s / 0.002)):
        run.tick(run.rest)
    assert not run.mode.ready
    run.come_back()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.8, 2.5, 3.4, 5.0])
def test_sitting_may_be_left_on_the_way_up(floor: Floor, body: LocoManBody, after_s: float) -> None:
    run = Run(floor, BimanualMode(body))
    for _ in range(round(after_s / 0.002)):
        run.tick(run.rest)
    assert not run.mode.ready
    run.mode.leave()
    run.until(lambda: run.mode.left, 14.0)
    assert floor.height == pytest.approx(LOCOMAN.home_height_m, abs=0.01)


def test_impossible_targets_are_refused_by_reach_not_by_falling(floor: Floor, body: LocoManBody) -> None:
    """A metre ahead, then through the floor: the hand stops short, the foot keeps off the floor, the robot stands."""
    run = Run(floor, right_gripper(body))
    run.make_ready()
    for place in (np.array([1.0, -0.1, 0.2]), np.array([0.3, -0.125, -0.5])):
        for _ in range(500):
            command = run.tick(Target(right_hand=HandTarget(place, run.rest.right_hand.orientation)))  # type: ignore[union-attr]
            assert np.isfinite(command.position).all() and np.isfinite(command.effort).all()
            assert (np.abs(command.effort[:18]) <= floor.effort[:18] + 1e-9).all()
        assert floor.tilt < 0.05
    assert not run.touched


def test_jaws_follow_the_opening_at_a_bounded_speed(floor: Floor, body: LocoManBody) -> None:
    run = Run(floor, left_gripper(body))
    run.mode.update(floor.state(), run.rest)
    floor.data.time += 0.002
    command = run.mode.update(floor.state(), replace(run.rest, grippers=np.array([0.0, 1.0])))
    step = command.position[-1] - LOCOMAN.grippers[1].closed[1]
    assert 0.0 < step <= 0.004 * 4.0 * LOCOMAN.grippers[1].open[1]


def test_names_are_the_machines(body: LocoManBody) -> None:
    names = [make(body).name for make in (right_foot, left_foot, right_gripper, left_gripper)]
    assert tuple(names) == MODES[1:5]
    assert BimanualMode(body).name == MODES[7]


@pytest.mark.parametrize("lean", [-0.3, 0.0, 0.4])
def test_a_seats_legs_reach_from_its_trunk_to_its_feet(body: LocoManBody, lean: float) -> None:
    """Forward kinematics of the model: hind feet where they stood, knees on the floor, calves flat."""
    seat = Seat.of(-0.19, lean, 0.3)
    assert lean_at(-0.19, float(seat.trunk[0]), 0.3) == pytest.approx(lean)
    joints = np.array([joint.home for joint in LOCOMAN.driven])
    joints[12:18] = seat.leg * 2
    pitch = np.array([np.cos(-0.15), 0.0, np.sin(-0.15), 0.0])
    still = np.zeros(3)
    body.update(RobotState(0.0, joints, np.zeros(len(joints)), seat.trunk, pitch, still, still, np.zeros(0)))
    for foot, knee in ((body.feet[2], "3_RR_calf"), (body.feet[3], "4_RL_calf")):
        place = body.dynamics.position(foot)
        np.testing.assert_allclose(place[[0, 2]], (-0.19, 0.02), atol=1e-3)
        assert body.dynamics.position(body.dynamics.body(knee))[2] == pytest.approx(0.0105, abs=1e-3)
