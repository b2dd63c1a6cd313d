"""The quadratic programme against another solver, its optimality, and what it does when it cannot be solved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand, contact_jacobian, friction_rows
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.hierarchy import solve_hierarchy
from robot_stack.sim.control.whole_body.qp import InverseDynamics, QpConfig, Solution
from robot_stack.sim.control.whole_body.tasks import ComTask
from robot_stack.sim.robots.model import RobotModel
from tests.sim.control.whole_body.quadruped import feet, random_state, standing

LIMIT = np.tile((24.0, 24.0, 36.0), 4)
CONFIG = QpConfig(force_weight=1e-3)
"""Forces that weigh more than in use, so that the general solver beside ours can find the same minimum."""


def problem(robot: RobotModel, seed: int, push: float = 1.0) -> tuple[Dynamics, list[Contact], np.ndarray, np.ndarray]:
    dynamics = Dynamics(robot)
    dynamics.update(random_state(robot, seed, spread=0.1))
    contacts = feet(dynamics, ("FL", "RR", "RL") if seed % 2 else ("FR", "FL", "RR", "RL"))
    com = ComTask(acceleration=push * generator(seed, 1).standard_normal(3)).demand(dynamics)
    motion = solve_hierarchy(dynamics, contact_demand(dynamics, contacts), [com])
    return dynamics, contacts, motion.acceleration, motion.contact_free


def check_physics(dynamics: Dynamics, contacts: list[Contact], solution: Solution, *, exact: float = 1e-6) -> None:
    forces = solution.force.reshape(-1)
    rest = dynamics.inverse(solution.acceleration) - contact_jacobian(dynamics, contacts).T @ forces
    np.testing.assert_allclose(rest[:BASE], 0.0, atol=exact)
    np.testing.assert_allclose(rest[BASE:], solution.torque, atol=exact)
    for contact, force in zip(contacts, solution.force, strict=True):
        assert contact.min_force - 1e-6 <= force[2] <= contact.max_force + 1e-6
        assert np.hypot(*force[:2]) <= contact.friction * force[2] + 1e-6


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_against_another_solver(robot: RobotModel, seed: int, relax: bool) -> None:
    """The same programme stated again from the equations and given to SciPy's SLSQP."""
    dynamics, contacts, wanted, free = problem(robot, seed)
    config = replace(CONFIG, relax_joints=relax)
    solution = InverseDynamics(dynamics, LIMIT, config).solve(contacts, wanted, free)
    assert solution.status == "optimal"
    check_physics(dynamics, contacts, solution)
    weight = np.concatenate((config.base_weight, np.full(12, config.joint_weight)))
    basis = free if relax else np.eye(dynamics.size, BASE)
    jacobian, gives = contact_jacobian(dynamics, contacts), basis.shape[1]

    def cost(x: np.ndarray) -> float:
        give = basis @ x[:gives]
        return 0.5 * float(give @ (weight * give) + config.force_weight * x[gives:] @ x[gives:])

    def slope(x: np.ndarray) -> np.ndarray:
        return np.concatenate((basis.T @ (weight * (basis @ x[:gives])), config.force_weight * x[gives:]))

    forces = np.hstack((dynamics.inertia @ basis, -jacobian.T))
    at_rest = dynamics.inverse(wanted)
    cones = np.hstack((np.zeros((8 * len(contacts), gives)), friction_rows((0.6,) * len(contacts), 8)))
    normal = np.eye(forces.shape[1])[gives + 2 :: 3]
    within: Any = LinearConstraint  # SciPy's own annotations know bounds as numbers only
    constraints = [
        within(forces[:BASE], -at_rest[:BASE], -at_rest[:BASE]),
        within(forces[BASE:], -LIMIT - at_rest[BASE:], LIMIT - at_rest[BASE:]),
        within(cones, -np.inf, 0.0),
        within(normal, 0.0, 400.0),
    ]
    start = np.linalg.lstsq(forces[:BASE], -at_rest[:BASE], rcond=None)[0]
    options = {"ftol": 1e-12, "maxiter": 500}
    known = minimize(cost, start, jac=slope, method="SLSQP", constraints=constraints, options=options)
    assert max(np.max(np.abs(forces[:BASE] @ known.x + at_rest[:BASE])), np.max(cones @ known.x)) < 1e-6
    ours = np.concatenate((basis.T @ (solution.acceleration - wanted), solution.force.reshape(-1)))
    assert cost(ours) == pytest.approx(known.fun, rel=1e-6, abs=1e-8)
    np.testing.assert_allclose(solution.force.reshape(-1), known.x[gives:], atol=0.1)


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_admissible_direction_is_better(robot: RobotModel, seed: int, relax: bool) -> None:
    """Optimality without multipliers: steps towards random admissible points never lower the cost, at tight limits."""
    dynamics, contacts, wanted, free = problem(robot, seed, push=6.0)
    config = replace(CONFIG, relax_joints=relax)
    tight = InverseDynamics(dynamics, 0.4 * LIMIT, config)
    solution = tight.solve(contacts, wanted, free)
    assert solution.status == "optimal"
    check_physics(dynamics, contacts, solution)
    random = generator(seed, 7)
    elsewhere = InverseDynamics(dynamics, 0.4 * LIMIT, replace(config, force_weight=10.0))
    weight = np.concatenate((config.base_weight, np.full(12, config.joint_weight)))
    give, force = solution.acceleration - wanted, solution.force
    for _ in range(50):
        other = elsewhere.solve(contacts, wanted, free, 100.0 * random.standard_normal(force.shape))
        assert other.status == "optimal"
        towards = other.force - force
        assert np.abs(towards).max() > 1.0
        rise = (other.acceleration - solution.acceleration) @ (weight * give)
        assert rise + config.force_weight * np.vdot(towards, force) >= -1e-5


@pytest.mark.parametrize("push", [1.0, 5.0, 20.0, 100.0])
def test_whatever_is_asked_the_answer_is_physical(robot: RobotModel, push: float) -> None:
    """From easy to impossible: forces in their cones, torques within limits, finite numbers, an honest status."""
    seen = set()
    for seed in range(20):
        dynamics, contacts, wanted, free = problem(robot, seed, push)
        inverse = InverseDynamics(dynamics, 0.5 * LIMIT, QpConfig(relax_joints=bool(seed % 3)))
        solution = inverse.solve(contacts, wanted, free)
        seen.add(solution.status)
        assert (np.abs(solution.torque) <= 0.5 * LIMIT + 1e-9).all()
        assert np.isfinite(solution.acceleration).all()
        if solution.status == "optimal":
            check_physics(dynamics, contacts, solution, exact=1e-5)
    assert "optimal" in seen


def test_warm_starts_do_not_change_answers(robot: RobotModel) -> None:
    dynamics, contacts, wanted, free = problem(robot, 0)
    warm = InverseDynamics(dynamics, LIMIT, CONFIG)
    for seed in range(20):
        asked = wanted + 2.0 * free @ generator(seed).standard_normal(free.shape[1])
        cold = InverseDynamics(dynamics, LIMIT, CONFIG)
        np.testing.assert_allclose(warm.solve(contacts, asked).force, cold.solve(contacts, asked).force, atol=1e-5)


def test_number_of_contacts_may_change_between_ticks(robot: RobotModel) -> None:
    dynamics, _, wanted, _ = problem(robot, 0)
    inverse = InverseDynamics(dynamics, LIMIT)
    for names in (("FR", "FL", "RR", "RL"), ("FL", "RR", "RL"), (), ("FR", "FL", "RR", "RL")):
        contacts = feet(dynamics, names)
        solution = inverse.solve(contacts, wanted)
        assert solution.force.shape == (len(names), 3)
        assert np.isfinite(solution.torque).all()
    assert inverse.solve(feet(dynamics), wanted).status == "optimal"


def test_in_the_air_the_robot_falls(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    solution = InverseDynamics(dynamics, LIMIT).solve((), np.zeros(dynamics.size))
    momentum = dynamics.inertia[:3] @ solution.acceleration
    np.testing.assert_allclose(momentum, dynamics.mass * dynamics.gravity, atol=1e-6)


def test_torque_limits_that_cannot_be_kept(robot: RobotModel) -> None:
    """Legs too weak to bear the trunk: torques are clipped, and it is said so."""
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    weak = [Contact(c.frame, c.friction, min_force=30.0) for c in feet(dynamics)]
    solution = InverseDynamics(dynamics, np.full(12, 0.05)).solve(weak, np.zeros(dynamics.size))
    assert solution.status == "torque_clipped"
    assert np.abs(solution.torque).max() <= 0.05


def test_a_solver_that_fails(robot: RobotModel) -> None:
    """No answer from the solver at all: the weight is borne, no cone and no limit is left."""
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    inverse = InverseDynamics(dynamics, LIMIT)
    inverse._run = lambda *_: None  # type: ignore[method-assign]
    contacts = feet(dynamics)
    solution = inverse.solve(contacts, np.zeros(dynamics.size))
    assert solution.status == "fallback"
    assert solution.force[:, 2].sum() == pytest.approx(9.81 * dynamics.mass, rel=0.05)
    for contact, force in zip(contacts, solution.force, strict=True):
        assert np.hypot(*force[:2]) <= contact.friction * force[2] + 1e-9
    assert (np.abs(solution.torque) <= LIMIT).all()


def test_a_sloping_contact_pushes_along_its_normal(robot: RobotModel) -> None:
    """Feet on the walls of a valley: the normal is the contact's, and forces add up to the weight."""
    dynamics = Dynamics(robot)
    dynamics.update(standing(robot))
    contacts = []
    for contact in feet(dynamics):
        side = np.sign(dynamics.position(contact.frame)[1])
        normal = np.array([0.0, -side * np.sin(0.5), np.cos(0.5)])
        tangent = np.cross(normal, (1.0, 0.0, 0.0))
        rows = ((1.0, 0.0, 0.0), tuple(tangent.tolist()), tuple(normal.tolist()))
        contacts.append(Contact(contact.frame, 0.6, axes=rows))
    solution = InverseDynamics(dynamics, LIMIT).solve(contacts, np.zeros(dynamics.size))
    assert solution.status == "optimal"
    check_physics(dynamics, contacts, solution, exact=1e-5)
    world = sum(contact.rotation.T @ force for contact, force in zip(contacts, solution.force, strict=True))
    gained = dynamics.inertia[:3] @ solution.acceleration
    np.testing.assert_allclose(world, gained - dynamics.mass * dynamics.gravity, atol=1e-5)


@pytest.mark.parametrize("facets", [4, 8, 16])
def test_pyramids_lie_within_cones(facets: int) -> None:
    rows = friction_rows((0.7,), facets)
    angles = np.linspace(0.0, 2 * np.pi, 721)
    on_cone = np.stack((0.7 * np.cos(angles), 0.7 * np.sin(angles), np.ones_like(angles)))
    outside = (rows @ on_cone).max(axis=0)
    assert outside.min() > -1e-12
    assert (rows @ (on_cone * np.array([[np.cos(np.pi / facets)], [np.cos(np.pi / facets)], [1.0]]))).max() < 1e-12


def test_contacts_and_weights_are_checked(robot: RobotModel) -> None:
    foot = Dynamics(robot).site("FR")
    with pytest.raises(ConfigError, match="FR"):
        Contact(foot, min_force=5.0, max_force=1.0)
    with pytest.raises(ConfigError, match="positive"):
        QpConfig(force_weight=0.0)
    with pytest.raises(ConfigError, match="torque limit"):
        InverseDynamics(Dynamics(robot), np.ones(3))
