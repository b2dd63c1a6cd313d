"""What the tests of the arms' tasks share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.seeding import episode_seed
from robot_stack.core.world import World
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world, robot_spec, robot_task
from robot_stack.sim.robot_tasks.workbench import TOP_M

mujoco = import_mujoco()


def world_of(task: str, mode: str = "") -> tuple[World, MujocoRobot]:
    world = make_robot_world(RobotWorldConfig(task=task, mode=mode, dump_folder=""))
    assert isinstance(world.robot, MujocoRobot)
    return world, world.robot


@dataclass(frozen=True)
class Tally:
    """What an operator did over some seeds."""

    failed: tuple[int, ...]
    interventions: int
    unmet: tuple[str, ...]
    """Milestones that did not hold in some successful episode."""


def tally(task: str, seeds: range, noise_std: float = 0.0, mode: str = "") -> Tally:
    world, _ = world_of(task, mode)
    operator = make_operator(world, noise_std)
    failed, unmet, interventions = [], set(), 0
    for i in seeds:
        result = run_episode(world.robot, operator, world.task, seed=episode_seed("collect", i))
        interventions += result.interventions
        if not result.success:
            failed.append(i)
        else:
            unmet |= {name for name, step in result.milestones.items() if step is None}
    return Tally(tuple(failed), interventions, tuple(sorted(unmet)))


def free_speeds(robot: MujocoRobot) -> np.ndarray:
    """Linear speeds of all things with a free joint [m/s]."""
    model, free = robot.model, mujoco.mjtJoint.mjJNT_FREE
    starts = [int(model.jnt_dofadr[j]) for j in range(model.njnt) if model.jnt_type[j] == free]
    return np.array([np.linalg.norm(robot.data.qvel[s : s + 3]) for s in starts])


def check_rest(task: str, seeds: range) -> None:
    """Everything lies still at the start, nothing overlaps by more than 0.1 mm, the robot holds its pose."""
    _, robot = world_of(task)
    for seed in seeds:
        robot.reset(seed)
        assert min((c.dist for c in robot.data.contact), default=0.0) > -1e-4
        before = robot.data.qpos.copy()
        for _ in range(75):
            robot.command(robot.hold_action)
        assert (free_speeds(robot) < 1e-3).all()
        assert np.abs(robot.data.qvel).max() < 5e-3
        moved = np.abs(robot.data.qpos - before)
        assert moved.max() < 0.06  # ALOHA's arms sink a little; nothing else moves
        scores = robot.task.score(robot.truth)
        assert not scores.success and not scores.failed and not scores.milestones.any()


def check_starts(task: str, seeds: range, fields: tuple[str, ...]) -> None:
    """Starts depend on the seed alone, and vary in every number of the given state fields."""
    _, robot = world_of(task)
    slices = robot.embodiment.state_slices
    first = np.array([robot.reset(seed).state for seed in seeds])
    colours = np.array([robot.reset(seed) and robot.model.geom_rgba.copy() for seed in seeds])
    robot.command(robot.hold_action)
    again = np.array([robot.reset(seed).state for seed in reversed(seeds)])[::-1]
    np.testing.assert_array_equal(first, again)
    for name in fields:
        assert (np.ptp(first[:, slices[name]], axis=0) > 0.004).all(), name
    assert np.ptp(colours, axis=0).max() > 0.2
    assert np.abs(first[:, slices["joint_position"]] - robot.spec.home).max() <= 0.0601


def check_batch(task: str) -> None:
    """A batch of simulations sees and scores what single ones do, bit for bit."""
    spec, seeds = robot_spec(task.partition("/")[0]), [3, 4]
    quiet = BatchConfig(threads=1, dump_folder="", autoreset="off", terminate_on_success=False)
    batch = BatchWorld(spec, robot_task(task), 2, None, quiet)
    states = [batch.reset(seeds)]
    wiggle = 0.05 * np.random.default_rng(1).normal(size=(5, 2, batch.hold_action.shape[-1]))
    actions = batch.hold_action + wiggle
    steps = [batch.step(action) for action in actions]
    for i, seed in enumerate(seeds):
        robot = MujocoRobot(spec, robot_task(task), None, MujocoRobotConfig(dump_folder=""))
        np.testing.assert_array_equal(robot.reset(seed).state, states[0][i])
        for step, action in zip(steps, actions[:, i], strict=True):
            robot.command(action)
            scores = robot.task.score(robot.truth)
            np.testing.assert_array_equal(robot.observe().state, step.state[i])
            assert float(scores.reward) == step.reward[i] and bool(scores.success) == step.success[i]
            assert np.isfinite(scores.reward) and scores.reward <= 1.0


def check_impact(task: str, thing: str, place: tuple[float, float]) -> None:
    """Dropped from 0.3 m (2.4 m/s) a thing gains no energy, does not go through the table, and comes to rest."""
    _, robot = world_of(task)
    robot.reset(2)
    model, data = robot.model, robot.data
    body = robot.robot.body(thing)
    q, v = int(model.jnt_qposadr[model.body_jntadr[body]]), int(model.body_dofadr[body])
    data.qpos[q : q + 7] = (*place, TOP_M + 0.3, np.cos(0.4), 0.3, np.sin(0.4), 0.1)
    data.qvel[v : v + 6] = (0.0, 0.0, 0.0, 2.0, 1.0, 0.0)
    lowest, start = np.inf, None
    for _ in range(1500):
        mujoco.mj_step(model, data)
        speed, spin = data.qvel[v : v + 3], data.qvel[v + 3 : v + 6]
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, model.body_iquat[body])
        local = turn.reshape(3, 3).T @ spin
        moving = 0.5 * model.body_mass[body] * speed @ speed + 0.5 * local @ (model.body_inertia[body] * local)
        energy = moving + model.body_mass[body] * 9.81 * data.qpos[q + 2]
        start = energy if start is None else start
        assert energy < start * 1.001 + 1e-4
        lowest = min(lowest, float(data.qpos[q + 2]))
    assert lowest > TOP_M
    assert np.linalg.norm(data.qvel[v : v + 3]) < 1e-3
    assert min((c.dist for c in data.contact), default=0.0) > -5e-4
