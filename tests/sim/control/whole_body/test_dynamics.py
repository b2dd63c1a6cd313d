"""Inertia, bias, Jacobians and their rates against MuJoCo's inverse dynamics and finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import NonFiniteError, UnknownNameError
from robot_stack.core.joint_control import RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel
from tests.sim.control.whole_body.quadruped import random_state, standing

SEEDS = range(5)
mujoco: Any = import_mujoco()


def full(robot: RobotModel, dynamics: Dynamics, generalised: np.ndarray) -> np.ndarray:
    """The model's own vector of all its degrees of freedom, joints that are held still at rest."""
    vector = np.zeros(robot.model.nv)
    vector[robot.base_dof] = generalised[:BASE]
    vector[robot.dof[dynamics.index]] = generalised[BASE:]
    return vector


def data_of(robot: RobotModel, dynamics: Dynamics, state: RobotState) -> Any:
    data = mujoco.MjData(robot.model)
    data.qpos[robot.base_qpos] = np.concatenate((state.p_world_base, state.q_world_base))
    data.qpos[robot.qpos] = state.joint_position
    data.qvel[:] = full(robot, dynamics, dynamics.velocity)
    return data


def moved(robot: RobotModel, dynamics: Dynamics, state: RobotState, time_s: float) -> RobotState:
    """The state a moment later, at constant generalised velocity."""
    data = data_of(robot, dynamics, state)
    mujoco.mj_integratePos(robot.model, data.qpos, data.qvel, time_s)
    free = data.qpos[robot.base_qpos]
    return replace(state, joint_position=data.qpos[robot.qpos], p_world_base=free[:3], q_world_base=free[3:])


@pytest.mark.parametrize("seed", SEEDS)
def test_equations_of_motion_are_mujocos(robot: RobotModel, seed: int) -> None:
    dynamics, state = Dynamics(robot), random_state(robot, seed)
    dynamics.update(state)
    data = data_of(robot, dynamics, state)
    acceleration = 5.0 * generator(seed).standard_normal(dynamics.size)
    data.qacc[:] = full(robot, dynamics, acceleration)
    mujoco.mj_inverse(robot.model, data)
    without_constraints = data.qfrc_inverse + data.qfrc_constraint  # a random posture may touch a joint limit
    known = without_constraints[full(robot, dynamics, np.ones(dynamics.size)) > 0]
    np.testing.assert_allclose(dynamics.inverse(acceleration), known, atol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_jacobians_and_rates_are_derivatives(robot: RobotModel, seed: int) -> None:
    dynamics, state = Dynamics(robot), random_state(robot, seed)
    dynamics.update(state)
    h = 1e-4
    ahead, behind = Dynamics(robot), Dynamics(robot)
    ahead.update(moved(robot, dynamics, state, h))
    behind.update(moved(robot, dynamics, state, -h))
    for frame in (dynamics.site("FR"), dynamics.site("RL"), dynamics.body("FL_thigh"), dynamics.base):
        speed = dynamics.jacobian(frame) @ dynamics.velocity
        np.testing.assert_allclose(speed[:3], (ahead.position(frame) - behind.position(frame)) / (2 * h), atol=1e-5)
        spin = (ahead.rotation(frame) - behind.rotation(frame)) / (2 * h) @ dynamics.rotation(frame).T
        np.testing.assert_allclose(speed[3:], (spin[2, 1], spin[0, 2], spin[1, 0]), atol=1e-5)
        rate = (ahead.jacobian(frame) - behind.jacobian(frame)) / (2 * h) @ dynamics.velocity
        np.testing.assert_allclose(dynamics.jacobian_rate(frame), rate, atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_centre_of_mass(robot: RobotModel, seed: int) -> None:
    dynamics, state = Dynamics(robot), random_state(robot, seed)
    dynamics.update(state)
    h = 1e-4
    ahead, behind = Dynamics(robot), Dynamics(robot)
    ahead.update(moved(robot, dynamics, state, h))
    behind.update(moved(robot, dynamics, state, -h))
    speed = dynamics.com_jacobian @ dynamics.velocity
    np.testing.assert_allclose(speed, (ahead.com - behind.com) / (2 * h), atol=1e-6)
    rate = (ahead.com_jacobian - behind.com_jacobian) / (2 * h) @ dynamics.velocity
    np.testing.assert_allclose(dynamics.com_jacobian_rate, rate, atol=1e-4)


def test_joints_in_another_order(robot: RobotModel) -> None:
    names = tuple(reversed(robot.spec.joint_names))
    straight, turned = Dynamics(robot), Dynamics(robot, names)
    state = random_state(robot, 3)
    straight.update(state)
    turned.update(state)
    order = np.concatenate((np.arange(BASE), BASE + np.arange(len(names))[::-1]))
    np.testing.assert_array_equal(turned.inertia, straight.inertia[np.ix_(order, order)])
    np.testing.assert_array_equal(turned.bias, straight.bias[order])
    foot = straight.site("FL")
    np.testing.assert_array_equal(turned.jacobian(foot), straight.jacobian(foot)[:, order])


def test_a_held_joint_weighs_but_does_not_move(robot: RobotModel) -> None:
    dynamics, state = Dynamics(robot), standing(robot)
    dynamics.update(state)
    assert dynamics.mass == pytest.approx(robot.model.body_mass.sum())
    com = dynamics.com
    dynamics.update(replace(state, joint_position=np.append(state.joint_position[:-1], 1.0)))
    assert np.linalg.norm(dynamics.com - com) > 1e-5
    dynamics.update(replace(state, joint_velocity=np.append(np.zeros(12), 5.0)))
    assert not dynamics.velocity.any()


def test_a_state_that_is_not_finite_is_refused(robot: RobotModel) -> None:
    dynamics = Dynamics(robot)
    with pytest.raises(NonFiniteError, match="state"):
        dynamics.update(replace(standing(robot), w_base=np.array([0.0, np.nan, 0.0])))


def test_unknown_joint(robot: RobotModel) -> None:
    with pytest.raises(UnknownNameError, match="FR_hip"):
        Dynamics(robot, ("FR_hipp",))
