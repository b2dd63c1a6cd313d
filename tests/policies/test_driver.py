"""Chunks become motion: the right steps, one noise per episode, ensembles, warm starts, and refused observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_stack.core.driver import BatchDriver, Driver
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from robot_stack.core.observation import Observation
from robot_stack.policies.actor import Actor
from robot_stack.policies.config import TaskEmbeddingConfig
from robot_stack.policies.driver import PolicyDriver, noise_generator
from robot_stack.policies.inference_config import DriverConfig, EnsembleConfig, InferenceConfig, WarmStartConfig
from robot_stack.policies.policy import Previous
from robot_stack.policies.process_config import FlowProcessConfig
from tests.policies.robots import ARM, CLONING, DIFFUSION, STOCHASTIC, TWO_CAMERAS, history, observation, policy

FLOW = replace(DIFFUSION, process=FlowProcessConfig(steps=3))


def chunks(driver: PolicyDriver, slot: int, seed: int, decisions: int, others: Sequence[int] = ()) -> list[np.ndarray]:
    """Decisions of one episode, in batches with other episodes."""
    driver.reset(slot, "push the cube", seed)
    for other in others:
        driver.reset(other, "open the drawer", 1000 + other)
    out = []
    for index in range(decisions):
        slots = sorted([slot, *others], key=lambda s: (s + index) % 7)
        seen = [history(10 * s + index) if s != slot else history(7 + index) for s in slots]
        out.append(driver.act(slots, seen)[slots.index(slot)].actions)
    return out


def test_contracts() -> None:
    driver = PolicyDriver(policy())
    assert isinstance(driver, BatchDriver) and driver.history == 2
    single = EpisodeDriver(driver)
    assert isinstance(single, Driver) and single.history == 2


def test_executes_the_steps_from_the_present_on() -> None:
    made = policy(CLONING)
    plan = Actor(made).act_batch([history(3)], [""])[0]
    driver = PolicyDriver(made)
    driver.reset(5, "", 0)
    chunk = driver.act([5], [history(3)])[0]
    assert np.array_equal(chunk.actions, plan[1:5]) and chunk.actions.dtype == np.float64
    assert chunk.start_s == history(3)[-1].time_s and chunk.period_s == pytest.approx(0.1)
    longer = PolicyDriver(made, DriverConfig(n_action_steps=7))
    longer.reset(5, "", 0)
    assert np.array_equal(longer.act([5], [history(3)])[0].actions, plan[1:8])
    with pytest.raises(ConfigError, match="so far ahead"):
        PolicyDriver(made, DriverConfig(n_action_steps=8))


@pytest.mark.parametrize("config", [DIFFUSION, STOCHASTIC, FLOW, CLONING], ids=["ddim", "ddpm", "flow", "cloning"])
@pytest.mark.parametrize("driving", [DriverConfig(), DriverConfig(warm_start=WarmStartConfig(1))], ids=["cold", "warm"])
def test_an_episode_does_not_depend_on_the_others(config, driving: DriverConfig) -> None:
    if config is CLONING:
        driving = DriverConfig(ensemble=EnsembleConfig())
    made = policy(config)
    alone = chunks(PolicyDriver(made, driving), 2, seed=11, decisions=4)
    together = chunks(PolicyDriver(made, driving), 2, seed=11, decisions=4, others=[0, 1, 3, 6])
    elsewhere = chunks(PolicyDriver(made, driving), 5, seed=11, decisions=4, others=[4])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    np.testing.assert_allclose(elsewhere, alone, atol=2e-5)


@pytest.mark.parametrize("config", [DIFFUSION, STOCHASTIC], ids=["ddim", "ddpm"])
def test_equal_seeds_give_equal_episodes_and_others_do_not(config) -> None:
    driver = PolicyDriver(policy(config))
    first = chunks(driver, 0, seed=1, decisions=3)
    assert np.array_equal(first, chunks(driver, 0, seed=1, decisions=3))
    assert not np.allclose(first, chunks(driver, 0, seed=2, decisions=3), atol=1e-3)
    assert not np.allclose(first[0], first[1], atol=1e-3)


def test_noise_of_neighbouring_seeds_is_unrelated() -> None:
    draws = torch.stack([torch.randn(2000, generator=noise_generator(seed)) for seed in range(8)])
    assert torch.corrcoef(draws).fill_diagonal_(0).abs().max() < 0.1


def test_noise_comes_from_the_slots_own_generator() -> None:
    made = policy(DIFFUSION)
    driver = PolicyDriver(made)
    driver.reset(0, "", 4)
    got = driver.act([0], [history(1)])[0].actions
    noise = torch.randn(1, 8, ARM.action_size, generator=noise_generator(4))
    state = np.array([[o.state for o in history(1)]], dtype=np.float32)
    wanted = made.sample({"observation.state": torch.from_numpy(state)}, noise=noise)[0, 1:5]
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-6)


def test_temporal_ensembling_against_brute_force() -> None:
    made = policy(CLONING)
    decay, length = 0.3, made.horizon - 1
    driver = EpisodeDriver(PolicyDriver(made, DriverConfig(ensemble=EnsembleConfig(decay))))
    for seed in (0, 1):  # the second episode must not remember the first
        driver.reset("", seed)
        plans: dict[int, np.ndarray] = {}
        for step in range(12):
            seen = history(20 * seed + step)
            got = driver.act(seen)
            assert got.actions.shape == (1, ARM.action_size)
            plans[step] = Actor(made).act_batch([seen], [""])[0]
            total, weight = np.zeros(ARM.action_size), 0.0
            covering = [made_at for made_at in sorted(plans) if made_at > step - length]
            for age_rank, made_at in enumerate(covering):
                w = np.exp(-decay * age_rank)
                total += w * plans[made_at][made.n_obs_steps - 1 + step - made_at]
                weight += w
            np.testing.assert_allclose(got.actions[0], total / weight, atol=1e-6)


def test_warm_starts_use_the_last_plan_shifted_to_now() -> None:
    made = policy(DIFFUSION)
    driver = PolicyDriver(made, DriverConfig(n_action_steps=3, warm_start=WarmStartConfig(first_step=4)))
    driver.reset(0, "", 9)
    driver.act([0], [history(0)])
    got = driver.act([0], [history(1)])[0].actions
    generator = noise_generator(9)
    seen = [
        {"observation.state": torch.from_numpy(np.array([[o.state for o in history(s)]], dtype=np.float32))}
        for s in (0, 1)
    ]
    first = made.sample(seen[0], generator=[generator])
    shifted = torch.cat([first[:, 3:], first[:, -1:], first[:, -1:], first[:, -1:]], dim=1)
    second = made.sample(seen[1], generator=[generator], previous=Previous(shifted, 4))
    np.testing.assert_allclose(got, second[0, 1:4].numpy(), atol=1e-5)
    driver.reset(0, "", 9)
    fresh = PolicyDriver(made, DriverConfig(n_action_steps=3))
    fresh.reset(0, "", 9)
    assert np.array_equal(driver.act([0], [history(5)])[0].actions, fresh.act([0], [history(5)])[0].actions)
    with pytest.raises(ConfigError, match="no sampler"):
        PolicyDriver(policy(CLONING), DriverConfig(warm_start=WarmStartConfig()))


def test_two_cameras_and_a_task_per_slot() -> None:
    made = policy(replace(DIFFUSION, inputs=TWO_CAMERAS), language=TaskEmbeddingConfig(4))
    driver = PolicyDriver(made)
    driver.reset(0, "push the cube", 1)
    driver.reset(1, "open the drawer", 1)
    seen = history(3)
    first, second = (c.actions for c in driver.act([0, 1], [seen, seen]))
    assert not np.allclose(first, second, atol=1e-3), "only the instruction differs"
    with pytest.raises(UnknownNameError, match="did you mean 'push the cube'"):
        driver.reset(2, "push the cub", 1)
    dark = [replace(o, images={n: np.zeros_like(i) for n, i in o.images.items()}) for o in seen]
    driver.reset(0, "push the cube", 1)
    assert not np.allclose(driver.act([0], [dark])[0].actions, first, atol=1e-4)


def test_observations_that_are_wrong_are_refused_by_name() -> None:
    made = policy(replace(DIFFUSION, inputs=TWO_CAMERAS))
    driver = PolicyDriver(made)
    driver.reset(0, "", 0)
    good = observation(1)
    state = good.state.copy()
    state[4] = np.nan
    with pytest.raises(NonFiniteError, match="hand_1"):
        driver.act([0], [[good, replace(good, state=state)]])
    with pytest.raises(ShapeError, match="state has the wrong shape"):
        driver.act([0], [[good, replace(good, state=good.state[:-1])]])
    with pytest.raises(ShapeError, match="camera 'wrist'"):
        driver.act([0], [[good, replace(good, images={"front": good.images["front"]})]])
    small = {name: image[::2] for name, image in good.images.items()}
    with pytest.raises(ShapeError, match="camera 'wrist'"):
        driver.act([0], [[good, replace(good, images=small)]])
    with pytest.raises(ShapeError, match="history has the wrong length"):
        driver.act([0], [[good]])
    with pytest.raises(ConfigError, match=r"never reset: \[3\]"):
        driver.act([3], [[good, good]])
    with pytest.raises(ConfigError, match="once"):
        driver.act([0, 0], [[good, good]] * 2)


def test_cameras_that_the_policy_does_not_use_may_be_missing() -> None:
    driver = PolicyDriver(policy(DIFFUSION))
    driver.reset(0, "", 0)
    bare = [Observation(o.state) for o in history(0)]
    assert driver.act([0], [bare])[0].actions.shape == (4, ARM.action_size)


def test_weights_that_are_not_finite_are_noticed() -> None:
    made = policy(CLONING)
    with torch.no_grad():
        made.network.mlp.out.bias[0] = float("nan")
    driver = PolicyDriver(made)
    driver.reset(0, "", 0)
    with pytest.raises(NonFiniteError, match="decided on actions that are not finite"):
        driver.act([0], [history(0)])


def test_half_precision_is_near_and_other() -> None:
    made = policy(DIFFUSION)
    full = chunks(PolicyDriver(made), 0, seed=1, decisions=1)[0]
    half = chunks(PolicyDriver(made, None, InferenceConfig("bfloat16")), 0, seed=1, decisions=1)[0]
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("config", [replace(DIFFUSION, inputs=TWO_CAMERAS), CLONING], ids=["diffusion", "cloning"])
def test_compiled_networks_act_alike(config) -> None:
    plain = chunks(PolicyDriver(policy(config)), 0, seed=1, decisions=2, others=[1, 2])
    compiled = chunks(
        PolicyDriver(policy(config), None, InferenceConfig(compile=True)), 0, seed=1, decisions=2, others=[1, 2]
    )
    np.testing.assert_allclose(compiled, plain, atol=1e-4)


def test_latency_is_recorded() -> None:
    driver = PolicyDriver(policy(CLONING))
    assert driver.latency.summary() == {"count": 0.0}
    chunks(driver, 0, seed=1, decisions=5)
    summary = driver.latency.summary()
    assert summary["count"] == 5
    assert 0 < summary["median_s"] <= summary["p99_s"] <= summary["max_s"] == max(driver.latency.seconds)
