"""The plant behind an emulator is the robot of the simulator: same starts, same physics, same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import JointCommand
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.measured_senses import MeasuredSenses
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.robot_catalog import robot_spec, robot_task


@pytest.mark.parametrize(("robot", "task"), [("panda", "panda/drawer"), ("g1", "g1/button")])
def test_plant_and_senses_give_the_simulated_robots_observations(robot: str, task: str) -> None:
    spec = robot_spec(robot)
    whole = MujocoRobot(spec, robot_task(task))
    servo_hz = whole.controller.servo_hz or whole.embodiment.control_hz
    plant = MujocoPlant(spec, robot_task(task), servo_hz)
    senses = MeasuredSenses(plant.robot, plant.task.state_fields())
    assert senses.fields == whole.embodiment.state
    controller = plant.task.controller(plant.robot)
    for seed in (3, 4):
        seen = whole.reset(seed)
        plant.reset(seed)
        controller.reset(senses.state(plant.read(), plant.tracked()))
        controller.update(senses.state(plant.read(), plant.tracked()))  # as the robot does for its first hold
        for _ in range(5):
            np.testing.assert_allclose(
                senses.vector(senses.state(plant.read(), plant.tracked()), plant.tracked()), seen.state, atol=1e-9
            )
            whole.command(whole.hold_action)
            seen = whole.observe()
            held = whole.hold_action.astype(np.float32).astype(np.float64)
            controller.begin(held, senses.state(plant.read(), plant.tracked()))
            for _ in range(round(servo_hz / whole.embodiment.control_hz)):
                plant.advance(controller.update(senses.state(plant.read(), plant.tracked())))
    whole.close()
    plant.close()


def test_a_resting_accelerometer_shows_gravity() -> None:
    plant = MujocoPlant(robot_spec("g1"), robot_task("g1/stand"))
    spec = plant.robot.spec
    gains = np.array([[j.stiffness, j.damping] for j in spec.driven]).T
    zero = np.zeros(len(spec.driven))
    hold = JointCommand(plant.read().joint_position, zero, zero, *gains)
    for _ in range(100):
        plant.advance(hold)
    felt = plant.read().a_base
    assert felt is not None
    assert abs(np.linalg.norm(felt) - 9.81) < 0.5


def test_a_command_of_another_robot_is_refused() -> None:
    plant = MujocoPlant(robot_spec("panda"), robot_task("panda/drawer"))
    zero = np.zeros(3)
    with pytest.raises(ConfigError, match="another robot"):
        plant.advance(JointCommand(zero, zero, zero, zero, zero))
    plant.advance(None)
    assert plant.read().sequence == 1
    moved = replace(plant.read(), sequence=0)
    assert moved.joint_position.shape == (len(plant.joint_names),)


def test_a_hoist_carries_a_limp_robot_and_lets_it_down() -> None:
    plant = MujocoPlant(robot_spec("g1"), robot_task("g1/stand"))
    start = plant.tracked()["base_position"]
    plant.hoist(True)
    for _ in range(500):
        plant.advance(None)
    assert np.linalg.norm(plant.tracked()["base_position"] - start) < 0.03
    plant.hoist(False)
    for _ in range(500):
        plant.advance(None)
    assert plant.tracked()["base_position"][2] < start[2] - 0.3
    plant.hoist(True)
    plant.reset(0)
    untouched = MujocoPlant(robot_spec("g1"), robot_task("g1/stand"))
    untouched.reset(0)
    for _ in range(50):
        plant.advance(None)
        untouched.advance(None)
    np.testing.assert_array_equal(plant.read().joint_position, untouched.read().joint_position)
