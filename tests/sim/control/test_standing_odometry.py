"""Odometry of soles against the simulator's truth, and in the loop of the controller that needs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.g1_balance import G1Balance
from robot_stack.sim.control.standing_odometry import StandingConfig, StandingOdometry
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.measured_senses import MeasuredSenses
from robot_stack.sim.robot_catalog import robot_spec, robot_task
from robot_stack.sim.robots.model import compile_robot


@pytest.mark.parametrize("seed", [0, 1])
def test_the_g1_balances_on_its_own_odometry_and_knows_where_it_is(seed: int) -> None:
    plant = MujocoPlant(robot_spec("g1"), robot_task("g1/button"))
    plant.reset(seed)
    begin = plant.tracked()["base_position"]
    senses = MeasuredSenses(plant.robot, (), StandingOdometry(plant.robot, start=(float(begin[0]), float(begin[1]))))
    assert senses.tracked_fields == ()
    senses.reset(plant.read(), {})
    controller = G1Balance(plant.robot)
    action = controller.reset(senses.state(plant.read(), {}))
    action[:3] += (0.08, 0.05, 0.06)
    for tick in range(1000):
        state = senses.state(plant.read(), {})
        if tick % 10 == 0:
            controller.begin(action, state)
        plant.advance(controller.update(state))
        truth = plant.tracked()
        assert np.abs(state.p_world_base - truth["base_position"]).max() < 2e-3
        assert np.abs(state.v_world_base - truth["base_velocity"]).max() < 0.06
    assert truth["base_position"][2] > 0.7 and not controller.fallen


def test_a_sole_that_is_lifted_and_put_down_elsewhere_stands_there() -> None:
    robot = compile_robot(robot_spec("g1"))
    home = np.array([joint.home for joint in robot.spec.driven])
    names = list(robot.spec.driven_names)
    still = RobotState(
        0.0,
        home,
        np.zeros(29),
        np.zeros(3),
        np.array((1.0, 0.0, 0.0, 0.0)),
        np.zeros(3),
        np.zeros(3),
        np.zeros(2),
    )
    odometry = StandingOdometry(robot)
    odometry.reset(still)
    first = odometry.update(still).p_world_base
    np.testing.assert_allclose(first[:2], 0.0, atol=1e-9)
    assert first[2] == pytest.approx(robot.spec.home_height_m, abs=2e-3)

    def posed(**joints: float) -> RobotState:
        pose = home.copy()
        for name, change in joints.items():
            pose[names.index(f"{name}_joint")] += change
        return replace(still, joint_position=pose)

    lifted = posed(right_hip_pitch=-0.5, right_knee=0.8, right_ankle_pitch=-0.3)
    np.testing.assert_allclose(odometry.update(lifted).p_world_base, first, atol=1e-6)
    # Both hips roll outwards: the soles come down apart, at one height, the base lower between them.
    apart = posed(right_hip_pitch=0.0, right_hip_roll=-0.15, left_hip_roll=0.15)
    straddled = odometry.update(apart).p_world_base
    again = odometry.update(replace(apart, time_s=0.1)).p_world_base
    np.testing.assert_allclose(again, straddled, atol=1e-9)
    assert straddled[2] < first[2]


def test_only_robots_with_feet_and_a_free_base() -> None:
    with pytest.raises(ConfigError):
        StandingOdometry(compile_robot(robot_spec("panda")))
    with pytest.raises(ConfigError):
        StandingConfig(lifted_m=0.0)
