"""Plans that go on from what a robot is carrying out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.running_plan import PlanningDriver, RunningPlan, nothing_running
from robot_stack.policies.driver import PolicyDriver, noise_generator
from robot_stack.policies.policy import Continuing
from robot_stack.policies.process_config import FlowProcessConfig
from tests.policies.robots import ARM, CLONING, DIFFUSION, STOCHASTIC, TWO_CAMERAS, history, policy

FLOW = replace(DIFFUSION, process=FlowProcessConfig())
NOTHING = nothing_running(ARM.action_size)


def running(steps: int = 4, seed: int = 0, weight: float = 1.0) -> RunningPlan:
    rng = np.random.default_rng(seed)
    return RunningPlan(rng.uniform(-0.5, 0.5, (steps, ARM.action_size)), np.linspace(weight, 0.0, steps + 1)[:-1])


def started(config, slots: int = 1) -> PolicyDriver:
    driver = PolicyDriver(policy(config))
    for slot in range(slots):
        driver.reset(slot, "", slot)
    return driver


@pytest.mark.parametrize("config", [DIFFUSION, FLOW, STOCHASTIC, CLONING])
def test_a_plan_reaches_as_far_as_the_policy_plans(config) -> None:
    driver = started(config)
    assert isinstance(driver, PlanningDriver)
    seen = history(3)
    plan = driver.plan([0], [seen], [NOTHING])[0]
    assert plan.actions.shape == (config.horizon - 1, ARM.action_size)
    assert (plan.start_s, plan.period_s) == (seen[-1].time_s, 0.1)
    driver.reset(0, "", 0)
    np.testing.assert_array_equal(driver.act([0], [seen])[0].actions, plan.actions[: config.n_action_steps])


@pytest.mark.parametrize("config", [DIFFUSION, FLOW, replace(DIFFUSION, inputs=TWO_CAMERAS)])
def test_a_plan_is_guided_from_the_newest_observation_on(config) -> None:
    driver, now = started(config), running()
    got = driver.plan([0], [history(1)], [now])[0].actions

    made, length = driver.policy, config.horizon
    target, weights = torch.zeros(1, length, ARM.action_size), torch.zeros(1, length)
    target[0, 1:5], weights[0, 1:5] = torch.from_numpy(now.actions), torch.from_numpy(now.weights)
    batch = driver.actor._batch([history(1)], [""])
    with torch.no_grad():
        wanted = made.sample(batch, generator=[noise_generator(0)], continuing=Continuing(target, weights, 5.0))
        free = made.sample(batch, generator=[noise_generator(0)])
    np.testing.assert_allclose(got, wanted[0, 1:].double().numpy(), atol=1e-5)
    assert np.abs(got - free[0, 1:].double().numpy()).max() > 1e-3
    assert all(p.grad is None for p in made.parameters())  # type: ignore[attr-defined]


def test_a_policy_that_does_not_sample_takes_no_notice() -> None:
    driver = started(CLONING)
    assert not driver.continues
    free = driver.plan([0], [history(1)], [NOTHING])[0].actions
    np.testing.assert_array_equal(driver.plan([0], [history(1)], [running()])[0].actions, free)


def test_episodes_that_share_a_batch_do_not_feel_it() -> None:
    plans = [NOTHING, running(3, 1), running(5, 2), replace(running(2, 3), max_weight=2.0)]
    together, alone = started(DIFFUSION, 4), started(DIFFUSION, 4)
    got = together.plan([0, 1, 2, 3], [history(i) for i in range(4)], plans)
    for i in (3, 1, 0, 2):
        single = alone.plan([i], [history(i)], [plans[i]])[0]
        np.testing.assert_allclose(got[i].actions, single.actions, atol=1e-5)


def test_running_plans_of_another_robot_are_refused() -> None:
    driver = started(DIFFUSION)
    with pytest.raises(ShapeError, match="another robot"):
        driver.plan([0], [history(0)], [RunningPlan(np.zeros((2, 1)), np.ones(2))])
    with pytest.raises(NonFiniteError):
        driver.plan([0], [history(0)], [RunningPlan(np.full((2, ARM.action_size), np.nan), np.ones(2))])
    with pytest.raises(ShapeError):
        RunningPlan(np.zeros((2, ARM.action_size)), np.ones(3))
    with pytest.raises(ConfigError, match="reset"):
        driver.plan([7], [history(0)], [NOTHING])
