"""LocoMan stands: for a minute without drift, where the trunk is sent, and after pushes of 20 N·s from all sides."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.sim.control.locoman.body import LocoManBody, StanceFrame
from robot_stack.sim.control.locoman.mode import Target
from robot_stack.sim.control.locoman.stance import Stance, TrunkLimits
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_rpy
from tests.sim.control.locoman_floor import Floor

REST = Target()
SIDES = np.arange(8) * np.pi / 4


@pytest.fixture(scope="module")
def floor() -> Floor:
    return Floor()


@pytest.fixture(scope="module")
def stance(floor: Floor) -> Stance:
    return Stance(LocoManBody(floor.alone))


def stand(floor: Floor, stance: Stance, seconds: float, target: Target = REST) -> None:
    floor.run(seconds, lambda state: stance.update(state, target))


def begin(floor: Floor, stance: Stance, seconds: float) -> None:
    floor.reset()
    stance.enter(floor.state())
    stand(floor, stance, seconds)


def stays(floor: Floor, stance: Stance, seconds: float) -> None:
    begin(floor, stance, 0.5)
    start = floor.state().p_world_base
    stand(floor, stance, seconds)
    assert np.linalg.norm(floor.state().p_world_base - start) < 0.01
    assert floor.tilt < 0.01
    assert not stance.catching
    assert floor.largest_share < 0.5


def test_stands(floor: Floor, stance: Stance) -> None:
    stays(floor, stance, 3.0)


@pytest.mark.slow
def test_stands_a_minute(floor: Floor, stance: Stance) -> None:
    stays(floor, stance, 60.0)


def test_trunk_goes_where_it_is_sent(floor: Floor, stance: Stance) -> None:
    begin(floor, stance, 0.3)
    before = floor.state()
    target = Target(body_position=np.array([0.03, -0.02, -0.05]), body_rpy=np.array([0.2, 0.15, -0.3]))
    stand(floor, stance, 2.5, target)
    state = floor.state()
    assert state.p_world_base[2] - before.p_world_base[2] == pytest.approx(-0.05, abs=0.003)
    expected = matrix_of(quaternion_from_rpy(target.body_rpy))
    np.testing.assert_allclose(matrix_of(state.q_world_base), expected, atol=0.02)
    assert not stance.catching
    stance.leave()
    stand(floor, stance, 2.0, target)
    assert stance.left
    assert floor.tilt < 0.01


def test_targets_beyond_the_limits_are_held_at_them(floor: Floor, stance: Stance) -> None:
    begin(floor, stance, 0.3)
    height = floor.height
    stand(floor, stance, 2.0, Target(body_position=np.array([0.0, 0.0, -1.0]), body_rpy=np.array([3.0, 0.0, 0.0])))
    limits = TrunkLimits()
    assert floor.height - height == pytest.approx(-limits.position[2], abs=0.004)
    assert floor.tilt == pytest.approx(limits.rpy[0], abs=0.02)


def pushed(floor: Floor, stance: Stance, side: float, force_n: float, seconds: float) -> None:
    """A push at the trunk from one side; afterwards the robot stands still again, upright and at its height."""
    begin(floor, stance, 0.2)
    floor.push(force_n * np.array([np.cos(side), np.sin(side), 0.0]))
    stand(floor, stance, seconds)
    floor.push(np.zeros(3))
    stand(floor, stance, 3.0)
    assert floor.height > 0.26, f"fell when pushed towards {np.degrees(side):.0f} degrees"
    assert floor.tilt < 0.05
    assert np.linalg.norm(floor.state().v_world_base) < 0.05
    assert not stance.catching
    assert floor.largest_share <= 1.0 + 1e-9  # the actuators clip: no more than the joints' limits is ever applied


@pytest.mark.parametrize("side", SIDES[[0, 2, 5]])
def test_catches_a_push(floor: Floor, stance: Stance, side: float) -> None:
    """20 N·s within 0.2 s."""
    pushed(floor, stance, float(side), 100.0, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("force_n", "seconds"), [(200.0, 0.1), (100.0, 0.2), (40.0, 0.5)])
@pytest.mark.parametrize("side", SIDES)
def test_catches_pushes_from_all_sides(
    floor: Floor, stance: Stance, side: float, force_n: float, seconds: float
) -> None:
    """20 N·s, quick and slow."""
    pushed(floor, stance, float(side), force_n, seconds)


def test_a_steady_push_is_borne_without_a_step(floor: Floor, stance: Stance) -> None:
    begin(floor, stance, 0.2)
    feet = [floor.data.site_xpos[floor.robot.site(name)].copy() for name in ("FR", "RL")]
    floor.push(np.array([15.0, 10.0, 0.0]))
    stand(floor, stance, 1.0)
    assert not stance.catching
    floor.push(np.zeros(3))
    for name, before in zip(("FR", "RL"), feet, strict=True):
        np.testing.assert_allclose(floor.data.site_xpos[floor.robot.site(name)], before, atol=0.005)


def test_stance_frame() -> None:
    feet = np.array([[0.2, -0.1, 0.02], [0.2, 0.1, 0.02], [-0.2, -0.1, 0.02], [-0.2, 0.1, 0.02]])
    turn = matrix_of(quaternion_from_rpy(np.array([0.0, 0.0, 0.7])))
    frame = StanceFrame.under(feet @ turn.T + (1.0, 2.0, 0.5))
    assert frame.yaw == pytest.approx(0.7)
    np.testing.assert_allclose(frame.origin, (1.0, 2.0, 0.5), atol=1e-12)
    point = np.array([0.3, -0.2, 0.1])
    np.testing.assert_allclose(frame.from_world(frame.to_world(point)), point, atol=1e-12)
    np.testing.assert_allclose(frame.to_world(np.array([1.0, 0.0, 0.0])) - frame.origin, turn[:, 0], atol=1e-12)
