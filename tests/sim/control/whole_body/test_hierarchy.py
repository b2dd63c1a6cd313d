"""Lower tasks never disturb higher ones; singular tasks stay bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.contacts import contact_demand
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.hierarchy import Damping, prioritized, solve_hierarchy
from robot_stack.sim.control.whole_body.rotations import quaternion_from_rpy
from robot_stack.sim.control.whole_body.tasks import (
    ComTask,
    Demand,
    OrientationTask,
    PoseTask,
    PositionTask,
    PostureTask,
    stacked,
)
from robot_stack.sim.robots.model import RobotModel
from tests.sim.control.whole_body.quadruped import feet, random_state, standing


def levels_of(dynamics: Dynamics) -> list[Demand]:
    """Trunk's pose, the lifted foot, and the posture, all with targets out of the present state."""
    trunk = PoseTask.of(dynamics.base)
    trunk.translation.position = dynamics.position(dynamics.base) + np.array([0.02, -0.01, 0.03])
    trunk.rotation.orientation = quaternion_from_rpy(np.array([0.1, -0.1, 0.2]))
    foot = PositionTask(dynamics.site("FR"), velocity=np.array([0.1, 0.0, 0.3]))
    foot.position = dynamics.position(dynamics.site("FR")) + np.array([0.05, 0.02, 0.08])
    posture = PostureTask(dynamics, np.tile((0.1, 0.7, -1.5), 4))
    return [task.demand(dynamics) for task in (trunk, foot, posture)]


@pytest.mark.parametrize("seed", range(5))
def test_priorities_hold_exactly(robot: RobotModel, seed: int) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, seed))
    contacts = contact_demand(dynamics, feet(dynamics, ("FL", "RR", "RL")))
    levels = levels_of(dynamics)
    motions = [solve_hierarchy(dynamics, contacts, levels[:count]) for count in range(len(levels) + 1)]
    for count, motion in enumerate(motions):
        np.testing.assert_allclose(contacts.jacobian @ motion.step, 0.0, atol=1e-9)
        np.testing.assert_allclose(contacts.jacobian @ motion.velocity, 0.0, atol=1e-9)
        np.testing.assert_allclose(contacts.jacobian @ motion.acceleration, contacts.acceleration, atol=1e-9)
        for higher in range(count):
            jacobian, alone = levels[higher].jacobian, motions[higher + 1]
            np.testing.assert_allclose(jacobian @ motion.step, jacobian @ alone.step, atol=1e-9)
            np.testing.assert_allclose(jacobian @ motion.velocity, jacobian @ alone.velocity, atol=1e-9)
            np.testing.assert_allclose(jacobian @ motion.acceleration, jacobian @ alone.acceleration, atol=1e-9)


def test_what_can_be_served_is_served(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    contacts = contact_demand(dynamics, feet(dynamics, ("FL", "RR", "RL")))
    trunk, foot, _ = levels = levels_of(dynamics)
    motion = solve_hierarchy(dynamics, contacts, levels)
    for demand in (trunk, foot):
        np.testing.assert_allclose(demand.jacobian @ motion.step, demand.step, atol=1e-9)
        np.testing.assert_allclose(demand.jacobian @ motion.velocity, demand.velocity, atol=1e-9)
        np.testing.assert_allclose(demand.jacobian @ motion.acceleration, demand.acceleration, atol=1e-9)


def test_accelerations_have_least_kinetic_energy(robot: RobotModel) -> None:
    """The dynamically consistent inverse by its textbook formula, for contacts and one task."""
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 1))
    contacts, task = contact_demand(dynamics, feet(dynamics)), ComTask(acceleration=np.ones(3)).demand(dynamics)
    both = np.concatenate((contacts.jacobian, task.jacobian))
    inverse = np.linalg.inv(dynamics.inertia)
    wanted = np.concatenate((contacts.acceleration, task.acceleration))
    expected = inverse @ both.T @ np.linalg.solve(both @ inverse @ both.T, wanted)
    motion = solve_hierarchy(dynamics, contacts, [task])
    np.testing.assert_allclose(motion.acceleration, expected, atol=1e-7)


def test_motions_that_leave_contacts_still(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 2))
    contacts = contact_demand(dynamics, feet(dynamics))
    free = solve_hierarchy(dynamics, contacts, []).contact_free
    assert free.shape == (dynamics.size, dynamics.size - 12)
    np.testing.assert_allclose(contacts.jacobian @ free, 0.0, atol=1e-12)
    np.testing.assert_allclose(free.T @ free, np.eye(free.shape[1]), atol=1e-12)


def test_redundant_contacts(robot: RobotModel) -> None:
    """The same foot named twice, as the corners of a sole are redundant: no number explodes."""
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 2))
    once = solve_hierarchy(dynamics, contact_demand(dynamics, feet(dynamics)), levels_of(dynamics))
    names = ("FR", "FL", "RR", "RL", "FL", "FR")
    twice = solve_hierarchy(dynamics, contact_demand(dynamics, feet(dynamics, names)), levels_of(dynamics))
    np.testing.assert_allclose(twice.acceleration, once.acceleration, atol=1e-8)
    np.testing.assert_allclose(twice.step, once.step, atol=1e-8)


def test_near_singularities_steps_stay_bounded(robot: RobotModel) -> None:
    """A leg that gets straight is asked to become longer."""
    dynamics = Dynamics(robot)
    largest = 0.0
    for knee in np.linspace(-0.5, 0.0, 51):
        state = standing(robot)
        joints = state.joint_position.copy()
        joints[1:3] = (-0.5 * knee, knee)
        dynamics.update(replace(state, joint_position=joints))
        foot = PositionTask(dynamics.site("FR"))
        foot.position = dynamics.position(dynamics.site("FR")) + np.array([0.0, 0.0, -0.1])
        contacts = contact_demand(dynamics, feet(dynamics, ("FL", "RR", "RL")))
        trunk = stacked([PositionTask(dynamics.base).demand(dynamics), OrientationTask(dynamics.base).demand(dynamics)])
        motion = solve_hierarchy(dynamics, contacts, [trunk, foot.demand(dynamics)])
        np.testing.assert_allclose(trunk.jacobian @ motion.step, 0.0, atol=1e-9)
        largest = max(largest, float(np.abs(motion.step).max()))
    assert 0.1 < largest < 4.0


def test_conflicting_lower_task_gets_the_rest() -> None:
    random = generator(4)
    first, second = random.standard_normal((3, 8)), random.standard_normal((4, 8))
    second[0] = first[1]  # a row that only the first may decide
    wanted = [random.standard_normal((3, 2)), random.standard_normal((4, 2))]
    found, _ = prioritized([first, second], wanted, Damping())
    np.testing.assert_allclose(first @ found, wanted[0], atol=1e-12)
    np.testing.assert_allclose(second[1:] @ found, wanted[1][1:], atol=1e-9)


def test_selected_axes_and_joints(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, 0))
    height = PositionTask(dynamics.base, axes=(2,), position=np.zeros(3)).demand(dynamics)
    assert height.jacobian.shape == (1, dynamics.size)
    assert height.step[0] == -dynamics.position(dynamics.base)[2]
    level = OrientationTask(dynamics.base, axes=(0, 1), orientation=np.array([1.0, 0, 0, 0])).demand(dynamics)
    assert level.jacobian.shape == (2, dynamics.size)
    knee = PostureTask(dynamics, np.array([-1.0]), ("RL_calf",)).demand(dynamics)
    assert knee.jacobian[0, BASE + 11] == 1.0 and np.count_nonzero(knee.jacobian) == 1
    assert knee.step[0] == -1.0 - dynamics.joint_position[11]
