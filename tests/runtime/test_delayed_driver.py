"""A policy that needs time, in the one control loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.inference_config import DriverConfig
from robot_stack.policies.loading import make_policy
from robot_stack.policies.normalizers import SourceRows, fit_normalizers
from robot_stack.policies.process_config import FlowProcessConfig
from robot_stack.runtime.chunking import LatencyTrimmed, RealTimeChunking, Synchronous
from robot_stack.runtime.delayed_driver import ConstantDelay, DelayedDriver, JitteredDelay
from robot_stack.runtime.loop import run_episode
from tests.policies.robots import DIFFUSION
from tests.worlds import PointConfig, make_point_world

WORLD = make_point_world(PointConfig())
ROBOT = WORLD.robot.embodiment


@pytest.fixture(scope="module")
def policy():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = SourceRows("demos", rng.uniform(-1, 1, (200, 6)), rng.uniform(-1, 1, (200, 2)))
    config = replace(DIFFUSION, horizon=16, process=FlowProcessConfig())
    made = make_policy(config, ROBOT, fit_normalizers(config.normalization, (rows,)), (), None, seed=1)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    return made


class Actions:
    """Remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        self.asked = []

    def on_step(self, step: Step) -> None:
        self.asked.append(step.requested)

    def on_end(self, result: EpisodeResult | None) -> None:
        pass


def actions(driver, seed: int = 3, horizon: int = 40) -> np.ndarray:
    seen = Actions()
    robot, task = WORLD.robot, WORLD.task
    run_episode(
        robot, EpisodeDriver(driver), task, seed=seed, horizon=horizon, stop_on_success=False, subscribers=[seen]
    )
    return np.array(seen.asked)


def test_without_a_delay_it_is_the_plain_driver(policy) -> None:
    plain = actions(PolicyDriver(policy, DriverConfig(n_action_steps=6)))
    delayed = actions(DelayedDriver(PolicyDriver(policy), Synchronous(6), ConstantDelay(0.0), ROBOT))
    np.testing.assert_array_equal(delayed, plain)


def test_synchronous_waits_with_its_last_action(policy) -> None:
    plain = actions(PolicyDriver(policy, DriverConfig(n_action_steps=6)))
    waiting = actions(DelayedDriver(PolicyDriver(policy), Synchronous(6), ConstantDelay(0.1), ROBOT))
    np.testing.assert_array_equal(waiting[:6], plain[:6])
    np.testing.assert_array_equal(waiting[6:8], np.repeat(plain[5:6], 2, axis=0))
    assert (waiting[8] != waiting[7]).any()


@pytest.mark.parametrize("chunking", [LatencyTrimmed(5, 0), LatencyTrimmed(5), RealTimeChunking(5)])
def test_equal_seeds_give_equal_episodes(policy, chunking) -> None:
    driver = DelayedDriver(PolicyDriver(policy), chunking, JitteredDelay(0.0, 0.3), ROBOT)
    first = actions(driver)
    np.testing.assert_array_equal(actions(driver), first)
    assert (actions(driver, seed=4) != first).any()
    assert driver.counts.late == 0


def disagreement(policy, chunking, delay_s: float) -> float:
    """Between the first action of each new plan and what the last plan had in mind for that moment [mean]."""
    driver = DelayedDriver(PolicyDriver(policy), chunking, ConstantDelay(delay_s), ROBOT)
    driver.reset(0, "", 7)
    robot, task = WORLD.robot, WORLD.task
    observation = task.reset(robot, 7)
    found, last = [], None
    for _ in range(150):
        action = driver.act([0], [[observation]])[0].actions[0]
        plan = driver.plan_of(0)
        meant = None if last is None or plan is last else last.action(observation.time_s)
        if meant is not None:
            found.append(float(np.abs(action - meant).max()))
        last = plan
        robot.command(action)
        observation = robot.observe()
    assert len(found) > 10
    return float(np.mean(found))


@pytest.mark.parametrize("delay_s", [0.05, 0.2])
def test_chunks_join_better_when_the_policy_continues_them(policy, delay_s) -> None:
    """The policy is untrained: two of its plans for one moment have nothing in common but what guidance gives them."""
    plain = disagreement(policy, LatencyTrimmed(5, blend_steps=0), delay_s)
    guided = disagreement(policy, RealTimeChunking(5), delay_s)
    blended = disagreement(policy, LatencyTrimmed(5, blend_steps=4), delay_s)
    assert guided < 0.3 * plain
    assert blended < 0.3 * plain


def test_a_slot_that_was_never_reset_is_refused(policy) -> None:
    driver = DelayedDriver(PolicyDriver(policy), Synchronous(6), ConstantDelay(0.1), ROBOT)
    with pytest.raises(ConfigError, match="reset"):
        driver.act([0], [[WORLD.task.reset(WORLD.robot, 0)]])
