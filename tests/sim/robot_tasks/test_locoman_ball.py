"""LocoMan's ball: starts, physics, what counts as lifted, and its operator."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import episode_seed
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.operators import locoman_ball as operator_module
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import make_operator
from robot_stack.sim.robot_tasks.locoman_ball import MASS_KG, RADIUS_M, resting_height
from tests.sim.robot_tasks.arm_bench import free_speeds, tally, world_of

mujoco = import_mujoco()
TASK = "locoman/ball"


def names_in_touch(robot: MujocoRobot) -> set[frozenset[str]]:
    """Pairs of geoms that touch now."""
    return {frozenset(robot.model.geom(g).name for g in (c.geom1, c.geom2)) for c in robot.data.contact}


def lift_ball(robot: MujocoRobot, rise: float) -> None:
    """Put the ball so far above where it lies [m], at rest."""
    start = int(robot.model.jnt_qposadr[robot.model.body_jntadr[robot.robot.body("ball")]])
    robot.data.qpos[start + 2] += rise
    mujoco.mj_forward(robot.model, robot.data)


def test_the_operator_lifts_the_ball_and_goes_on_holding_it() -> None:
    """Also: only the jaws touch the ball, nothing else of the robot the stand, and the servos' torques bear it."""
    world, robot = world_of(TASK)
    operator = make_operator(world, noise_std=0.002)
    seed = episode_seed("collect", 0)
    observation = world.task.reset(robot, seed)
    operator.reset("", seed)
    ball, touched, met, deepest, held = robot.robot.geom("ball"), set(), [], 0.0, 0
    for step in range(world.task.horizon):
        assert robot.command(operator.act([observation]).actions[0]).interventions == ()
        observation = robot.observe()
        scores = robot.task.score(robot.truth)
        assert not scores.failed and np.isfinite(scores.reward) and scores.reward <= 1.0
        met.append(scores.milestones)
        deepest = min([deepest, *(c.dist for c in robot.data.contact if ball in (c.geom1, c.geom2))])
        if step % 5 == 0:
            touched |= names_in_touch(robot)
        held += bool(scores.success)
        if held >= 50:
            break
    firsts = np.array(met).argmax(axis=0)
    assert np.array(met).any(axis=0).all() and (np.diff(firsts) > 0).all()
    assert held >= 50 and scores.success  # a second, not a moment
    assert (free_speeds(robot) < 5e-3).all()
    assert deepest > -1e-3
    effort = np.array([joint.effort for joint in robot.spec.driven])
    shares = np.abs(robot.data.actuator_force[robot.robot.actuator]) / effort
    assert shares.max() < 0.8, shares
    for pair in touched:
        others = pair - {"ball"}
        if "ball" in pair:
            assert all("tip" in name or "finger" in name or "prong" in name for name in others), pair
        else:
            assert not any(name.startswith("stand") for name in pair), pair


def test_the_operator_succeeds_right_after_an_episode_that_ended_sitting() -> None:
    got = tally(TASK, range(2))
    assert got.failed == () and got.unmet == () and got.interventions == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_operator_succeeds_on_a_hundred_seeds() -> None:
    assert len(tally(TASK, range(100)).failed) <= 10


def test_starts_depend_on_the_seed_alone_and_vary() -> None:
    _, robot = world_of(TASK)
    slices, model = robot.embodiment.state_slices, robot.model
    ball = robot.robot.body("ball")
    states, masses, colours = [], [], []
    for seed in range(12):
        states.append(robot.reset(seed).state)
        masses.append(float(model.body_mass[ball]))
        colours.append(model.geom_rgba[robot.robot.geom("ball")].copy())
        assert model.body_inertia[ball][0] == pytest.approx(
            0.4 * masses[-1] * states[-1][slices["ball_radius"]][0] ** 2
        )
    again = [robot.reset(seed).state for seed in reversed(range(12))][::-1]
    np.testing.assert_array_equal(states, again)
    spread = np.ptp(states, axis=0)
    assert (spread[slices["ball_position"]] > (0.08, 0.08, 0.03)).all()
    assert (spread[slices["stand_position"]] > (0.08, 0.08, 0.03)).all()
    assert spread[slices["ball_radius"]][0] > 0.008 and spread[slices["base_position"]][:2].min() > 0.05
    assert np.ptp(masses) > 0.08 and np.ptp(colours, axis=0).max() > 0.2
    assert all(MASS_KG[0] <= mass <= MASS_KG[1] for mass in masses)


@pytest.mark.parametrize("seed", range(3))
def test_ball_and_robot_stay_as_they_are_while_nobody_acts(seed: int) -> None:
    _, robot = world_of(TASK)
    robot.reset(seed)
    ball = robot.robot.geom("ball")
    assert all(abs(c.dist) < 1e-4 for c in robot.data.contact if ball in (c.geom1, c.geom2))
    p_ball = robot.truth.p_world_body("ball").copy()
    for _ in range(60):
        robot.command(robot.hold_action)
    assert (free_speeds(robot) < 0.01).all()
    assert np.abs(robot.truth.p_world_body("ball") - p_ball).max() < 1e-3
    touching = names_in_touch(robot)
    assert sum("ball" in pair for pair in touching) == 3  # the three prongs
    assert not any("stand_arm" in pair or "stand_foot" in pair for pair in touching)
    scores = robot.task.score(robot.truth)
    assert not scores.success and not scores.failed and not scores.milestones.any()


def test_a_ball_in_the_air_is_not_lifted_without_hands() -> None:
    _, robot = world_of(TASK)
    robot.reset(4)
    lift_ball(robot, 0.08)
    scores = robot.task.score(robot.truth)
    assert not scores.success and not scores.milestones[1:].any()


def test_a_ball_that_drops_ends_the_episode_and_comes_to_rest_on_the_floor() -> None:
    _, robot = world_of(TASK)
    robot.reset(5)
    model, data = robot.model, robot.data
    start = int(model.jnt_qposadr[model.body_jntadr[robot.robot.body("ball")]])
    data.qpos[start : start + 2] += (0.6, 0.6)
    data.qpos[start + 2] = 0.6
    mujoco.mj_forward(model, data)
    radius, lowest = float(robot.truth.geom_size("ball")[0]), np.inf
    for _ in range(150):
        robot.command(robot.hold_action)
        lowest = min(lowest, float(data.qpos[start + 2]))
    assert robot.task.score(robot.truth).failed
    assert lowest > radius - 0.01  # it fell 0.5 m
    assert abs(float(data.qpos[start + 2]) - radius) < 1e-3
    assert free_speeds(robot).max() < 0.02


def test_a_fall_ends_the_episode() -> None:
    _, robot = world_of(TASK)
    robot.reset(0)
    base = robot.robot.base_qpos.start
    robot.data.qpos[base + 3 : base + 7] = np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0
    mujoco.mj_forward(robot.model, robot.data)
    scores = robot.task.score(robot.truth)
    assert scores.failed and not scores.success and float(scores.reward) == 0.0


@pytest.mark.parametrize("radius", RADIUS_M)
def test_a_ball_lies_higher_than_its_radius_allows_it_to_touch_the_arm(radius: float) -> None:
    assert float(resting_height(radius)) - radius > 0.006 + 1e-3


def test_the_operator_wants_locomans_modes() -> None:
    world, _ = world_of(TASK, "joint_position")
    with pytest.raises(ConfigError, match="modes"):
        operator_module.make(world)
