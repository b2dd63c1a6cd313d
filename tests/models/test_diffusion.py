"""Training side of diffusion against diffusers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.models.diffusion import Diffusion, DiffusionConfig


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_corruption_and_targets_equal_diffusers(prediction, dtype, generator):
    process = Diffusion(DiffusionConfig(prediction=prediction))
    theirs = DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2")
    times: Any = torch.arange(100).repeat(2)
    clean = torch.randn(200, 4, 3, generator=generator, dtype=dtype)
    noise = torch.randn(200, 4, 3, generator=generator, dtype=dtype)
    noised = process.corrupt(clean, noise, times)
    torch.testing.assert_close(noised.noisy, theirs.add_noise(clean, noise, times), atol=1e-6, rtol=1e-6)
    target = {"epsilon": noise, "sample": clean, "v_prediction": theirs.get_velocity(clean, noise, times)}[prediction]
    torch.testing.assert_close(noised.target, target, atol=1e-6, rtol=1e-6)
    assert torch.equal(noised.network_time, times)


def test_times_cover_every_level_equally(generator):
    times = Diffusion().sample_times(100_000, generator=generator)
    counts = torch.bincount(times, minlength=100)
    assert counts.shape == (100,) and counts.min() > 1000 - 5 * 32 and counts.max() < 1000 + 5 * 32


def test_equal_generators_give_equal_times():
    draws = [Diffusion().sample_times(32, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws)


def test_default_sampler_is_deterministic_ddim():
    sampler = Diffusion().sampler(10)
    assert sampler.network_times == tuple(float(time) for time in range(90, -1, -10))
    assert all(step.next_noise == 0.0 for step in sampler.steps)


def test_config_survives_json():
    config = DiffusionConfig(prediction="sample", clip=None)
    assert from_plain(DiffusionConfig, to_plain(config)) == config


def test_wrong_configurations_are_refused():
    with pytest.raises(UnknownNameError, match="v_prediction"):
        Diffusion(DiffusionConfig(prediction="velocity"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least one step"):
        Diffusion(DiffusionConfig(train_steps=0))
