"""Inverse dynamics with weighed tasks: physics, optimality, and what it does when it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand, contact_jacobian
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.qp import Solution
from robot_stack.sim.control.whole_body.tasks import ComTask, Demand, OrientationTask, PostureTask
from robot_stack.sim.control.whole_body.weighted import WeightedInverseDynamics, constrained_motions
from robot_stack.sim.robots.model import RobotModel
from tests.sim.control.whole_body.quadruped import feet, random_state, standing

LIMIT = np.tile((24.0, 24.0, 36.0), 4)
ALL = ("FR", "FL", "RR", "RL")


def problem(robot: RobotModel, seed: int, push: float = 1.0) -> tuple[Dynamics, list[Contact], list]:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, seed, spread=0.1))
    contacts = feet(dynamics, ALL)
    com = ComTask(acceleration=push * generator(seed, 3).standard_normal(3)).demand(dynamics)
    upright = OrientationTask(dynamics.base).demand(dynamics)
    posture = PostureTask(dynamics, dynamics.joint_position).demand(dynamics)
    return dynamics, contacts, [(com, 10.0), (upright, 1.0), (posture, 0.01)]


def check_physics(
    dynamics: Dynamics, contacts: list[Contact], solution: Solution, external: np.ndarray | float = 0.0
) -> None:
    forces = solution.force.reshape(-1)
    rest = dynamics.inverse(solution.acceleration) - contact_jacobian(dynamics, contacts).T @ forces - external
    np.testing.assert_allclose(rest[:BASE], 0.0, atol=1e-6)
    np.testing.assert_allclose(rest[BASE:], solution.torque, atol=1e-6)
    assert (np.abs(solution.torque) <= LIMIT + 1e-9).all()
    for contact, force in zip(contacts, solution.force, strict=True):
        assert contact.min_force - 1e-6 <= force[2] <= contact.max_force + 1e-6
        assert np.hypot(*force[:2]) <= contact.friction * force[2] + 1e-6


def cost(solution: Solution, tasks: list[tuple[Demand, float]], force_weight: float) -> float:
    misses = [w * np.sum((t.jacobian @ solution.acceleration - t.acceleration) ** 2) for t, w in tasks]
    return float(sum(misses) + force_weight * np.sum(solution.force**2))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(0, 12))
def test_constrained_motions_are_all_there_are(seed: int, rank: int, redundant: int) -> None:
    random, size = generator(seed, 4), 24
    own = random.standard_normal((rank, size))
    jacobian = np.concatenate((own, random.standard_normal((redundant, rank)) @ own))
    motion = random.standard_normal(size)
    wanted = jacobian @ motion
    given_, free = constrained_motions(jacobian, wanted)
    assert free.shape == (size, size - rank)
    scale = 1e-8 * max(1.0, float(np.abs(jacobian).max(initial=0.0)) ** 2)
    np.testing.assert_allclose(jacobian @ given_, wanted, atol=scale)
    np.testing.assert_allclose(jacobian @ free, 0.0, atol=scale)
    np.testing.assert_allclose(free.T @ free, np.eye(size - rank), atol=1e-10)
    np.testing.assert_allclose(free.T @ given_, 0.0, atol=scale)


@pytest.mark.parametrize("seed", range(6))
def test_obeys_physics_and_leaves_the_contacts_still(robot: RobotModel, seed: int) -> None:
    dynamics, contacts, tasks = problem(robot, seed)
    solution = WeightedInverseDynamics(dynamics, LIMIT).solve(contacts, tasks)
    assert solution.status == "optimal"
    check_physics(dynamics, contacts, solution)
    still = contact_demand(dynamics, contacts)
    np.testing.assert_allclose(still.jacobian @ solution.acceleration, still.acceleration, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_no_feasible_motion_nearby_is_better(robot: RobotModel, seed: int) -> None:
    """Compared with solutions for other tasks, which obey the same constraints, and mixtures of them with this one."""
    dynamics, contacts, tasks = problem(robot, seed, push=4.0)
    inverse = WeightedInverseDynamics(dynamics, LIMIT, force_weight=1e-3)
    best = inverse.solve(contacts, tasks)
    assert best.status == "optimal"
    for other in range(10):
        elsewhere = inverse.solve(
            contacts, problem(robot, seed, push=4.0 + other)[2][:1] + problem(robot, 99, 1.0)[2][1:]
        )
        for share in (1e-3, 0.1, 1.0):
            mixed = Solution(
                best.torque,
                best.acceleration + share * (elsewhere.acceleration - best.acceleration),
                best.force + share * (elsewhere.force - best.force),
                "optimal",
            )
            assert cost(mixed, tasks, 1e-3) >= cost(best, tasks, 1e-3) * (1.0 - 1e-7)


def test_a_heavier_task_is_served_better(robot: RobotModel) -> None:
    """More than the floor can bear is asked of the centre of mass; what it gets grows with its weight."""
    dynamics, contacts, tasks = problem(robot, 2)
    asked = ComTask(acceleration=np.array((9.0, 0.0, 0.0))).demand(dynamics)
    inverse, misses = WeightedInverseDynamics(dynamics, LIMIT), []
    for weight in (0.01, 1.0, 100.0):
        solution = inverse.solve(contacts, [(asked, weight), *tasks[1:]])
        check_physics(dynamics, contacts, solution)
        misses.append(float(np.linalg.norm(asked.jacobian @ solution.acceleration - asked.acceleration)))
    assert misses[0] > misses[1] > misses[2]


def test_known_external_forces_are_borne(robot: RobotModel) -> None:
    dynamics, contacts, tasks = problem(robot, 1)
    dynamics.update(standing(robot))
    tasks = [(ComTask().demand(dynamics), 1000.0), *tasks[1:]]
    external = np.zeros(dynamics.size)
    external[2] = -30.0
    inverse = WeightedInverseDynamics(dynamics, LIMIT)
    without, loaded = inverse.solve(contacts, tasks), inverse.solve(contacts, tasks, external)
    check_physics(dynamics, contacts, loaded, external)
    assert loaded.force[:, 2].sum() - without.force[:, 2].sum() == pytest.approx(30.0, abs=0.5)


def test_soles_are_brought_back(robot: RobotModel) -> None:
    dynamics, contacts, tasks = problem(robot, 3)
    settle = np.tile((0.0, 0.0, 0.4), (4, 1))
    solution = WeightedInverseDynamics(dynamics, LIMIT).solve(contacts, tasks, settle=settle)
    still = contact_demand(dynamics, contacts)
    np.testing.assert_allclose(
        still.jacobian @ solution.acceleration, still.acceleration + settle.reshape(-1), atol=1e-6
    )


def test_what_cannot_be_is_answered_with_finite_torques(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    contacts = feet(dynamics, ALL)
    tasks = [(PostureTask(dynamics, dynamics.joint_position).demand(dynamics), 1.0)]
    heavy = [Contact(contact.frame, min_force=100.0) for contact in contacts]
    weak = WeightedInverseDynamics(dynamics, np.full(12, 0.5)).solve(heavy, tasks)
    assert weak.status == "torque_clipped"
    assert (np.abs(weak.torque) <= 0.5).all()


def test_without_any_solution_the_weight_is_borne(robot: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    contacts = feet(dynamics, ALL)
    inverse = WeightedInverseDynamics(dynamics, LIMIT)
    monkeypatch.setattr(inverse, "_run", lambda *_: None)
    tasks = [(PostureTask(dynamics, dynamics.joint_position).demand(dynamics), 1.0)]
    solution = inverse.solve(contacts, tasks)
    assert solution.status == "fallback"
    assert solution.force[:, 2].sum() == pytest.approx(9.81 * dynamics.mass, rel=1e-6)
    assert np.isfinite(solution.torque).all()
    assert (np.abs(solution.torque) <= LIMIT).all()


def test_torque_limits_must_fit_the_joints(robot: RobotModel) -> None:
    with pytest.raises(ConfigError, match="torque limit"):
        WeightedInverseDynamics(Dynamics(robot), np.ones(3))
