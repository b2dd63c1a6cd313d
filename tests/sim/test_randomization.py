"""What episodes draw: within their ranges, from the seed alone, and one kind apart from the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.fields import Field
from robot_stack.sim.counted_random import bell, bits, uniform
from robot_stack.sim.disturbances import Disturbances
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.randomization import Randomization, draw_episode
from robot_stack.sim.robots.model import compile_robot
from tests.sim.toy_arm import ToyReach, toy_spec
from tests.sim.toy_walker import walker_spec

ALL = Randomization(
    mass_scale=(0.8, 1.2),
    payload_kg=(-0.5, 1.0),
    friction_scale=(0.4, 1.6),
    stiffness_scale=(0.9, 1.1),
    damping_scale=(0.5, 1.5),
    latency_steps=(1, 4),
    state_noise=(("angle", 0.1),),
    push_every_s=(0.2, 0.4),
    push_speed=0.5,
    push_turn=1.0,
)
FIELDS = (Field("angle", 2, "rad"), Field("speed", 1, "rad/s"))


def disturbances(randomization: Randomization, nsim: int = 1) -> Disturbances:
    return Disturbances(randomization, state=FIELDS, action_size=2, control_hz=50.0, floating=True, nsim=nsim)


def test_it_is_plain_data() -> None:
    assert from_plain(Randomization, to_plain(ALL)) == ALL


def test_draws_lie_in_their_ranges_and_reach_both_ends(tmp_path: Path) -> None:
    robot = compile_robot(walker_spec(tmp_path))
    draws = [draw_episode(ALL, robot, seed) for seed in range(200)]
    mass = np.array([draw.factors["body_mass"] for draw in draws])
    trunk, other = mass[:, robot.root], np.delete(mass, robot.root, axis=1)
    assert 0.8 <= other.min() < 0.82 and 1.18 < other.max() <= 1.2
    assert trunk.min() < 0.8 * 0.85 and trunk.max() > 1.2 * 1.3
    friction = np.array([draw.factors["geom_friction"] for draw in draws])
    assert 0.4 <= friction.min() < 0.45 and 1.55 < friction.max() <= 1.6
    assert {draw.latency for draw in draws} == {1, 2, 3, 4}
    for name, low, high in (("stiffness", 0.9, 1.1), ("damping", 0.5, 1.5)):
        factors = np.array([getattr(draw, name) for draw in draws])
        assert low <= factors.min() and factors.max() <= high and factors.std() > 0.2 * (high - low)


def test_kinds_do_not_disturb_each_other(tmp_path: Path) -> None:
    robot = compile_robot(walker_spec(tmp_path))
    whole = draw_episode(ALL, robot, 7)
    part = draw_episode(replace(ALL, mass_scale=(1.0, 1.0), payload_kg=(0.0, 0.0)), robot, 7)
    assert set(part.factors) == {"geom_friction"}
    assert part.factors["geom_friction"] == whole.factors["geom_friction"] and part.latency == whole.latency
    np.testing.assert_array_equal(part.stiffness, whole.stiffness)
    none = draw_episode(Randomization(), robot, 7)
    assert none.factors == {} and none.latency == 0 and (none.stiffness == 1.0).all() and (none.damping == 1.0).all()


def test_the_model_has_what_was_drawn_and_gives_it_back(tmp_path: Path) -> None:
    robot = MujocoRobot(
        toy_spec(tmp_path),
        ToyReach(),
        None,
        MujocoRobotConfig(dump_folder=""),
        replace(ALL, state_noise=(), push_every_s=(0.0, 0.0), payload_kg=(0.0, 0.0)),
    )
    plain = MujocoRobot(toy_spec(tmp_path), ToyReach(), None, MujocoRobotConfig(dump_folder=""))
    for seed in (4, 5, 4):
        robot.reset(seed)
        plain.reset(seed)
        draw = draw_episode(robot._randomization, plain.robot, seed)
        np.testing.assert_array_equal(robot.model.body_mass, plain.model.body_mass * draw.factors["body_mass"])
        np.testing.assert_array_equal(
            robot.model.geom_friction, plain.model.geom_friction * draw.factors["geom_friction"]
        )
        gains = robot.model.actuator_biasprm[robot.robot.actuator, 1]
        np.testing.assert_array_equal(gains, plain.model.actuator_biasprm[plain.robot.actuator, 1] * draw.stiffness)
        assert robot.model.body_subtreemass[0] == pytest.approx(robot.model.body_mass.sum())


def test_actions_come_late_by_what_was_drawn() -> None:
    late = disturbances(ALL, 3)
    rows, latency = np.arange(3), np.array([1, 3, 4])
    late.restart(rows, np.array([1, 2, 3]), latency, np.full((3, 2), -1.0))
    for step in range(12):
        arrived = late.arriving(np.full((3, 2), float(step)))
        wanted = np.where(step >= latency, step - latency, -1.0)
        np.testing.assert_array_equal(arrived, np.repeat(wanted[:, None], 2, axis=1))
        late.advance()
    late.restart(np.array([1]), np.array([9]), np.array([2]), np.full((1, 2), -5.0))
    np.testing.assert_array_equal(late.arriving(np.zeros((3, 2)))[1], [-5.0, -5.0])


def test_noise_has_its_size_and_spares_other_fields() -> None:
    noise = disturbances(ALL, 50)
    noise.restart(np.arange(50), np.arange(50), np.zeros(50, dtype=int), np.zeros((50, 2)))
    seen = []
    for _ in range(100):
        seen.append(noise.noisy(np.zeros((50, 3))))
        noise.advance()
    drawn = np.array(seen)
    assert (drawn[..., 2] == 0).all()
    assert drawn[..., :2].std() == pytest.approx(0.1, rel=0.03) and abs(drawn[..., :2].mean()) < 0.004
    assert np.abs(np.corrcoef(drawn[..., 0].ravel(), drawn[..., 1].ravel())[0, 1]) < 0.05
    assert np.abs(np.corrcoef(drawn[:-1, :, 0].ravel(), drawn[1:, :, 0].ravel())[0, 1]) < 0.05


def test_pushes_come_at_their_times_and_are_no_stronger_than_allowed() -> None:
    pushes = disturbances(ALL, 20)
    pushes.restart(np.arange(20), np.arange(20), np.zeros(20, dtype=int), np.zeros((20, 2)))
    when: list[list[int]] = [[0] for _ in range(20)]
    kicks = []
    for step in range(400):
        kicked = pushes.kicks()
        if kicked is not None:
            for row, kick in zip(*kicked, strict=True):
                when[row].append(step)
                kicks.append(kick)
        pushes.advance()
    pauses = np.concatenate([np.diff(times) for times in when])
    assert set(np.unique(pauses)) == set(range(10, 21))
    largest = np.abs(np.array(kicks)).max(axis=0)
    assert (largest <= [0.5, 0.5, 0, 1, 1, 1]).all() and (largest > [0.45, 0.45, -1, 0.9, 0.9, 0.9]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"mass_scale": (1.2, 0.8)},
        {"friction_scale": (0.0, 1.0)},
        {"latency_steps": (-1, 2)},
        {"push_every_s": (0.0, 2.0)},
        {"push_speed": -1.0},
        {"state_noise": (("angle", -0.1),)},
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        Randomization(**wrong)


def test_unknown_fields_and_impossible_payloads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="angle"):
        disturbances(Randomization(state_noise=(("angel", 0.1),)))
    with pytest.raises(ConfigError, match="without mass"):
        draw_episode(Randomization(payload_kg=(-9.0, -8.0)), compile_robot(walker_spec(tmp_path)), 0)


def test_counted_numbers_do_not_depend_on_how_many_are_drawn() -> None:
    keys = np.arange(1000)
    whole = bell(keys[:, None], 3, np.arange(5))
    for i in (0, 17, 999):
        np.testing.assert_array_equal(whole[i], bell(keys[i : i + 1], 3, np.arange(5)))
    assert len(np.unique(bits(keys[:, None], 1, np.arange(100)))) == 100_000
    flat = uniform(keys[:, None], 2, np.arange(100)).ravel()
    assert flat.min() >= 0 and flat.max() < 1
    assert np.abs(np.histogram(flat, 20, (0, 1))[0] / 5000 - 1).max() < 0.06
    assert whole.std() == pytest.approx(1.0, rel=0.03) and np.abs(whole).max() < 3.47
