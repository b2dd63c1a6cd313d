"""Wavering hands: as large as asked for, and as smooth as joints can follow."""

from __future__ import annotations

import numpy as np

from robot_stack.core.seeding import episode_seed
from robot_stack.sim.operators.wavering import MEMORY, Wavering
from robot_stack.sim.robot_catalog import make_operator
from tests.sim.robot_tasks.arm_bench import world_of

STD_M = 0.01


def test_it_is_as_large_as_asked_for_and_moves_smoothly() -> None:
    wavering = Wavering(STD_M, (2000, 3), 0)
    seen = np.array([wavering.step().copy() for _ in range(300)])[200:]
    assert np.abs(seen.std() / STD_M - 1) < 0.02
    rough = np.sqrt(2 * (1 - MEMORY)) * STD_M  # the steps of noise filtered once
    assert np.diff(seen, axis=0).std() < 0.3 * rough


def test_it_begins_at_nothing_and_depends_on_the_seed_alone() -> None:
    first, again, other = (Wavering(STD_M, (2, 3), seed) for seed in (5, 5, 6))
    assert not first.value.any()
    steps = [(first.step().copy(), again.step().copy(), other.step().copy()) for _ in range(5)]
    assert all(np.array_equal(a, b) and not np.array_equal(a, c) for a, b, c in steps)
    assert np.abs(steps[0][0]).max() < 0.1 * STD_M


def test_fine_movements_calm_it() -> None:
    wavering = Wavering(STD_M, (2000, 3), 1)
    for _ in range(300):
        wavering.step()
    for _ in range(200):
        wavering.step(calm=0.05)
    assert np.abs(wavering.value.std() / (0.05 * STD_M) - 1) < 0.1


def test_joints_that_lead_a_wavering_hand_do_not_chatter() -> None:
    """What a policy learns from: commands that turn no more suddenly than a few times those of calm hands.

    Noise filtered once, or let loose at the end of a bending of the joints, made steps of up to 0.06 rad, forwards and
    backwards, out of 3 mm of wavering.
    """
    world, robot = world_of("aloha/lift-tray")
    operator = make_operator(world, noise_std=0.003)
    for index in range(2):
        seed = episode_seed("collect", index)
        observation = world.task.reset(robot, seed)
        operator.reset("", seed)
        commands = []
        for _ in range(160):
            commands.append(operator.act([observation]).actions[0])
            robot.command(commands[-1])
            observation = robot.observe()
        turns = np.abs(np.diff(np.array(commands)[:, :12], n=2, axis=0))
        assert turns.max() < 0.02
