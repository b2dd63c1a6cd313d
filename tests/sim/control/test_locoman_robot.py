"""LocoMan's controllers inside the simulated robot: safety filter, control rate and randomised episodes included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.fields import Field
from robot_stack.core.seeding import generator
from robot_stack.sim.control.locoman.controller import LocoManController, VelocityController, decode, encode
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.robot_tasks.contract import Scores
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.scene import add_room

ROUGH = Randomization(
    mass_scale=(0.85, 1.15),
    payload_kg=(-0.5, 2.0),
    friction_scale=(0.6, 1.2),
    stiffness_scale=(0.9, 1.1),
    damping_scale=(0.8, 1.2),
    push_every_s=(1.5, 3.0),
    push_speed=0.4,
    push_turn=0.5,
)


class EmptyRoom:
    """Walk a metre ahead."""

    name, instruction, horizon, view, milestones = "locoman/room", "walk a metre ahead", 500, "head_left", ("there",)

    def controller(self, robot):
        return LocoManController(robot, modes=(0, 5))

    def furnish(self, made, spec):
        add_room(made)

    def state_fields(self):
        return (Field("goal", 1, "m"),)

    def state(self, truth):
        return np.ones((*truth.p_world_body("trunk").shape[:-1], 1))

    def start(self, start, rng):
        pass

    def score(self, truth):
        place = truth.p_world_body("trunk")
        there = place[..., 0] > 1.0
        return Scores(there, there[..., None], np.minimum(place[..., 0], 1.0), place[..., 2] < 0.15)


def test_walks_as_a_robot_without_interventions():
    robot = MujocoRobot(LOCOMAN, EmptyRoom())
    robot.reset(0)
    rest = robot.hold_action
    ahead = encode("locomotion", replace(decode(rest), base_velocity=np.array([0.4, 0.0, 0.0])))
    for _ in range(75):
        assert not robot.command(ahead).interventions
    assert robot.data.qpos[0] > 0.35 and abs(robot.data.qpos[1]) < 0.05
    robot.close()


def test_the_velocity_controller_is_an_action_mode_of_its_own():
    robot = MujocoRobot(LOCOMAN, EmptyRoom(), VelocityController)
    robot.reset(0)
    assert robot.embodiment.action_size == 5
    for _ in range(50):
        receipt = robot.command(np.array([0.0, 0.0, 1.0, 0.0, 0.0]))
        assert not receipt.interventions
    assert 2 * np.arcsin(robot.data.qpos[6]) > 0.5
    robot.close()


@pytest.mark.slow
def test_trots_through_randomised_episodes_with_pushes():
    robot = MujocoRobot(LOCOMAN, EmptyRoom(), randomization=ROUGH)
    for seed in range(10):
        robot.reset(seed)
        rest, random, action = robot.hold_action, generator(seed, 5), robot.hold_action
        for step in range(400):
            if step % 80 == 40:
                velocity = random.uniform((-0.3, -0.2, -0.8), (0.5, 0.2, 0.8))
                action = encode("locomotion", replace(decode(rest), base_velocity=velocity))
            robot.command(action)
            assert robot.data.body("trunk").xmat[8] > 0.9 and robot.data.qpos[2] > 0.22, f"seed {seed}, step {step}"
    robot.close()
