"""DDIM and DDPM against the step functions of diffusers, over predictions, clipping, spacings and step counts."""

from __future__ import annotations

import itertools

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from robot_stack.core.errors import ConfigError
from robot_stack.models.denoiser import FunctionDenoiser
from robot_stack.models.diffusion import Diffusion, DiffusionConfig
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.ddpm import DdpmConfig, ddpm_sampler

PREDICTIONS = ("epsilon", "sample", "v_prediction")
SPACINGS = ("leading", "trailing", "linspace")
CLIPS = (1.0, 0.7, None)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def network(x, time, cond):
    """Nonlinear in everything, so that a wrong time, order or coefficient shows."""
    phase = time.to(x.dtype).view(-1, 1, 1) / 17.0
    return torch.sin(2.0 * x + phase) + 0.5 * torch.cos(3.0 * x.flip(1) - phase) + 0.3 * cond.unsqueeze(1)


def reference_scheduler(cls, prediction, clip, spacing, dtype):
    scheduler = cls(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=prediction,
        clip_sample=clip is not None,
        clip_sample_range=clip or 1.0,
        timestep_spacing=spacing,
    )
    # In float32 the scheduler rounds each of its scalars; lift its table to float64 to see the formulas themselves.
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    return scheduler


def run_reference(scheduler, steps, noise, cond, generator=None, **options):
    scheduler.set_timesteps(steps)
    x = noise
    for time in scheduler.timesteps:
        out = network(x, time.expand(x.shape[0]), cond)
        x = scheduler.step(out, time, x, generator=generator, **options).prev_sample.to(noise.dtype)
    return x


def inputs(dtype):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 4, 3, generator=generator, dtype=dtype), torch.randn(2, 3, generator=generator, dtype=dtype)


def assert_same(actual, expected, dtype):
    """Largest difference relative to the largest value: unclipped chunks of random networks grow."""
    scale = expected.abs().max().clamp_min(1.0)
    assert torch.isfinite(expected).all() and actual.dtype == dtype
    assert ((actual - expected).abs().max() / scale).item() < TOLERANCE[dtype]


@pytest.mark.parametrize(("prediction", "clip"), list(itertools.product(PREDICTIONS, CLIPS)))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_ddim(prediction, clip, dtype):
    levels = Diffusion(DiffusionConfig(prediction=prediction, clip=clip)).levels
    noise, cond = inputs(dtype)
    for spacing, steps, eta, rederive in itertools.product(SPACINGS, (1, 3, 10, 16), (0.0, 0.6, 1.0), (False, True)):
        scheduler = reference_scheduler(DDIMScheduler, prediction, clip, spacing, dtype)
        generators = [torch.Generator().manual_seed(9) for _ in range(2)]
        options = {"eta": eta, "use_clipped_model_output": rederive}
        expected = run_reference(scheduler, steps, noise, cond, generators[0], **options)
        sampler = ddim_sampler(levels, DdimConfig(steps=steps, eta=eta, spacing=spacing, rederive_noise=rederive))
        actual = sampler(FunctionDenoiser(network), noise, cond, generator=generators[1])
        assert_same(actual, expected, dtype)


@pytest.mark.parametrize(("prediction", "clip"), list(itertools.product(PREDICTIONS, CLIPS)))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_ddpm(prediction, clip, dtype):
    levels = Diffusion(DiffusionConfig(prediction=prediction, clip=clip)).levels
    noise, cond = inputs(dtype)
    for spacing, steps in itertools.product(SPACINGS, (1, 3, 10, 100)):
        scheduler = reference_scheduler(DDPMScheduler, prediction, clip, spacing, dtype)
        generators = [torch.Generator().manual_seed(9) for _ in range(2)]
        expected = run_reference(scheduler, steps, noise, cond, generators[0])
        sampler = ddpm_sampler(levels, DdpmConfig(steps=steps, spacing=spacing))
        actual = sampler(FunctionDenoiser(network), noise, cond, generator=generators[1])
        assert_same(actual, expected, dtype)


def test_ddim_with_untouched_float32_diffusers():
    """The scheduler exactly as policies use it, defaults of Diffusion Policy, ten steps."""
    scheduler = DDIMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    noise, cond = inputs(torch.float32)
    expected = run_reference(scheduler, 10, noise, cond)
    actual = Diffusion().sampler(10)(FunctionDenoiser(network), noise, cond)
    assert (actual - expected).abs().max() < 1e-5


def test_negative_eta_and_impossible_steps_are_refused():
    levels = Diffusion().levels
    with pytest.raises(ConfigError, match="negative"):
        ddim_sampler(levels, DdimConfig(eta=-0.1))
    for steps in (0, 101):
        with pytest.raises(ConfigError, match="out of range"):
            ddim_sampler(levels, DdimConfig(steps=steps))
        with pytest.raises(ConfigError, match="out of range"):
            ddpm_sampler(levels, DdpmConfig(steps=steps))
