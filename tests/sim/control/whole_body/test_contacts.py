"""Contacts: rolling balls, slanting floors, surplus constraints; tasks along chosen directions; bounded errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand, contact_jacobian
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.control.whole_body.hierarchy import Damping, solve_hierarchy
from robot_stack.sim.control.whole_body.rotations import product, quaternion_from_vector
from robot_stack.sim.control.whole_body.tasks import ComTask, OrientationTask, PositionTask
from robot_stack.sim.robots.model import RobotModel
from tests.sim.control.whole_body.quadruped import feet, random_state, standing


def test_a_ball_rolls(robot: RobotModel) -> None:
    """The point that touches is ``radius`` below the centre and moves with the body: v + w x (0, 0, -radius)."""
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 1))
    foot = dynamics.site("FR")
    linear, angular = np.split(dynamics.jacobian(foot) @ dynamics.velocity, 2)
    point = contact_jacobian(dynamics, [Contact(foot, radius=0.02)]) @ dynamics.velocity
    np.testing.assert_allclose(point, linear + np.cross(angular, (0.0, 0.0, -0.02)), atol=1e-12)


@pytest.mark.parametrize("radius", [0.0, 0.02])
def test_contact_rates_are_derivatives(robot: RobotModel, radius: float) -> None:
    """``J a + dJ/dt v = 0`` is what the demand says; the rate by finite differences."""
    state, h = random_state(robot, 2), 1e-4
    dynamics, ahead, behind = Dynamics(robot), Dynamics(robot), Dynamics(robot)
    dynamics.update(state)
    contact = Contact(dynamics.site("RL"), radius=radius, axes=((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))
    for other, step in ((ahead, h), (behind, -h)):
        quaternion = product(state.q_world_base, quaternion_from_vector(step * state.w_base))
        joints = state.joint_position.copy()
        joints[:12] += step * state.joint_velocity[:12]
        place = state.p_world_base + step * state.v_world_base
        other.update(replace(state, p_world_base=place, q_world_base=quaternion, joint_position=joints))
    change = contact_jacobian(ahead, [contact]) - contact_jacobian(behind, [contact])
    rate = change / (2 * h) @ dynamics.velocity
    np.testing.assert_allclose(contact_demand(dynamics, [contact]).acceleration, -rate, atol=1e-4)


def test_surplus_constraints_take_no_freedom_away(robot: RobotModel) -> None:
    """Two points of one shank measured a hair apart: the tiny singular value that appears is no constraint."""
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    contacts = contact_demand(dynamics, feet(dynamics))
    noise = 1e-4 * np.random.Generator(np.random.PCG64(0)).standard_normal(contacts.jacobian[:3].shape)
    doubled = replace(
        contacts,
        jacobian=np.vstack((contacts.jacobian, contacts.jacobian[:3] + noise)),
        step=np.zeros(15),
        velocity=np.zeros(15),
        acceleration=np.zeros(15),
    )
    wanted = [ComTask(acceleration=np.array([0.0, 0.0, 1.0])).demand(dynamics)]
    free = solve_hierarchy(dynamics, contacts, wanted)
    same = solve_hierarchy(dynamics, doubled, wanted)
    assert same.contact_free.shape == free.contact_free.shape
    np.testing.assert_allclose(same.acceleration, free.acceleration, atol=1e-2)
    strict = solve_hierarchy(dynamics, doubled, wanted, Damping(contact_rank=1e-8))
    assert strict.contact_free.shape[1] < free.contact_free.shape[1]


def test_tasks_along_directions(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 0))
    slanted = np.array([[0.6, 0.8, 0.0]])
    target = dynamics.com + np.array([0.1, 0.2, 0.3])
    full, along = (
        ComTask(position=target).demand(dynamics),
        ComTask(position=target, directions=slanted).demand(dynamics),
    )
    np.testing.assert_allclose(along.jacobian, slanted @ full.jacobian)
    np.testing.assert_allclose(along.step, [0.22])
    np.testing.assert_allclose(along.acceleration, slanted @ full.acceleration)
    turn = OrientationTask(dynamics.base, directions=np.eye(3)[1:2]).demand(dynamics)
    np.testing.assert_allclose(turn.jacobian, dynamics.jacobian(dynamics.base)[4:5])


def test_errors_count_up_to_a_length(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    here = dynamics.position(dynamics.base)
    for away, counted in ((0.01, 0.01), (0.5, 0.03)):
        task = PositionTask(dynamics.base, max_step=0.03, position=here + np.array([0.0, away, 0.0]))
        np.testing.assert_allclose(task.demand(dynamics).step, (0.0, counted, 0.0), atol=1e-12)
