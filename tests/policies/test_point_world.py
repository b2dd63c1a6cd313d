"""The whole way on a real (if small) robot: demonstrations, training, bundle, loading for that robot, closed loop."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_stack.core.episode import EpisodeResult
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.seeding import episode_seed
from robot_stack.policies.config import BehaviorCloningConfig, DiffusionPolicyConfig, InputConfig
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.inference_config import DriverConfig, EnsembleConfig, WarmStartConfig
from robot_stack.policies.loading import AnyPolicy, load_bundle, make_policy
from robot_stack.policies.network_config import ChunkMlpConfig, MlpDenoiserConfig
from robot_stack.policies.normalizers import SourceRows, fit_normalizers
from robot_stack.policies.saving import save_bundle
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.loop import EpisodeSpec, run_episode
from robot_stack.runtime.slots import EpisodeJob
from tests.worlds import PointConfig, PointExpert, PointRobot, ReachTask, make_point_world

WORLD = PointConfig(near=0.1)
EPISODES = 12


def demonstrations(count: int = 40, steps: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """States (count, steps, 6) and actions (count, steps, 2) of the expert with noise on what is carried out."""
    states, actions = np.empty((count, steps, 6)), np.empty((count, steps, 2))
    robot, expert = PointRobot(WORLD), PointExpert()
    for episode in range(count):
        seen = robot.reset(episode_seed("collect", episode))
        rng = np.random.default_rng(episode)
        for step in range(steps):
            states[episode, step] = seen.state
            actions[episode, step] = np.clip(expert.act([seen]).actions[0], -1, 1)
            robot.command(actions[episode, step] + 0.3 * rng.normal(size=2))
            seen = robot.observe()
    return states, actions


def trained(config: DiffusionPolicyConfig | BehaviorCloningConfig, updates: int) -> AnyPolicy:
    states, actions = demonstrations()
    fitted = fit_normalizers(config.normalization, [SourceRows("demos", states.reshape(-1, 6), actions.reshape(-1, 2))])
    made = make_policy(config, PointRobot(WORLD).embodiment, fitted, [ReachTask.instruction], seed=0)
    optimizer = torch.optim.AdamW(made.parameters(), lr=2e-3, betas=(0.95, 0.999))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=updates)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    n_obs, first = config.inputs.n_obs_steps, np.arange(config.horizon)
    for _ in range(updates):
        episode = rng.integers(0, len(states), 128)[:, None]
        start = rng.integers(0, states.shape[1] - config.horizon, 128)[:, None]
        batch = {
            "observation.state": torch.from_numpy(states[episode, start + np.arange(n_obs)].astype(np.float32)),
            "action": torch.from_numpy(actions[episode, start + first].astype(np.float32)),
        }
        optimizer.zero_grad()
        made.loss(batch, generator).backward()
        optimizer.step()
        schedule.step()
    return made


CLONING = BehaviorCloningConfig(
    inputs=InputConfig(n_obs_steps=1), horizon=8, n_action_steps=4, network=ChunkMlpConfig((64, 64)), mask_padding=False
)
DIFFUSION = DiffusionPolicyConfig(
    horizon=8, n_action_steps=4, network=MlpDenoiserConfig(width=96, depth=2, time_embed_dim=32)
)


@pytest.fixture(scope="module", params=["cloning", "diffusion"])
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    made = trained(CLONING, 400) if request.param == "cloning" else trained(DIFFUSION, 800)
    path = tmp_path_factory.mktemp("bundle") / request.param
    save_bundle(made, path, provenance={})
    return path


def results(path: Path, config: DriverConfig, slots: int) -> dict[int, EpisodeResult]:
    world = make_point_world(WORLD)
    made = load_bundle(path, robot_embodiment=world.robot.embodiment).policy
    maker = partial(make_point_world, WORLD)
    jobs = [EpisodeJob(i, EpisodeSpec(episode_seed("held_out", i)), maker) for i in range(EPISODES)]
    with Fleet(FleetConfig(processes=0, slots=slots)) as fleet:
        found = {o.job.index: o.result for o in fleet.run(jobs, PolicyDriver(made, config))}
    return {index: result for index, result in found.items() if result is not None}


def test_the_learned_policy_reaches_held_out_goals_alone_and_in_batches(learned: Path) -> None:
    batched = results(learned, DriverConfig(), slots=5)
    assert sum(r.success for r in batched.values()) >= EPISODES - 1
    world = make_point_world(WORLD)
    driver = EpisodeDriver(PolicyDriver(load_bundle(learned).policy))
    for index in range(3):
        alone = run_episode(world.robot, driver, world.task, seed=episode_seed("held_out", index))
        assert alone.steps == batched[index].steps
        assert alone.total_reward == pytest.approx(batched[index].total_reward, rel=1e-3)


def test_ensembles_and_warm_starts_reach_them_too(learned: Path) -> None:
    ways = [DriverConfig(ensemble=EnsembleConfig())]
    if learned.name == "diffusion":
        ways.append(DriverConfig(n_action_steps=2, warm_start=WarmStartConfig(first_step=6)))
    for config in ways:
        assert sum(r.success for r in results(learned, config, slots=6).values()) >= EPISODES - 1


def test_an_untrained_policy_does_not(tmp_path: Path) -> None:
    save_bundle(trained(CLONING, 1), tmp_path / "b", provenance={})
    assert sum(r.success for r in results(tmp_path / "b", DriverConfig(), slots=6).values()) <= EPISODES // 3
