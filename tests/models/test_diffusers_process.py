"""Training through diffusers' own scheduler objects equals training through ours."""

from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from robot_stack.core.errors import ConfigError
from robot_stack.models.diffusers_process import DiffusersProcess
from robot_stack.models.diffusion import Diffusion, DiffusionConfig


@pytest.mark.parametrize("kind", [DDPMScheduler, DDIMScheduler])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_times_corruption_targets_and_sampler_are_ours(kind, prediction, generator):
    scheduler = kind(num_train_timesteps=50, beta_schedule="squaredcos_cap_v2", prediction_type=prediction)
    theirs, ours = DiffusersProcess(scheduler), Diffusion(DiffusionConfig(train_steps=50, prediction=prediction))
    draws = [p.sample_times(64, generator=torch.Generator().manual_seed(3)) for p in (theirs, ours)]
    assert torch.equal(*draws)
    clean, noise = torch.randn(2, 64, 4, 3, generator=generator)
    for one, two in zip(theirs.corrupt(clean, noise, draws[0]), ours.corrupt(clean, noise, draws[0]), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
    assert theirs.sampler(10).steps == ours.sampler(10).steps


def test_clipping_and_spacing_are_the_schedulers():
    scheduler = DDIMScheduler(num_train_timesteps=50, clip_sample_range=1.5, timestep_spacing="trailing")
    process = DiffusersProcess(scheduler)
    scheduler.set_timesteps(10)
    assert process.levels.clip == 1.5
    assert list(process.sampler(10).network_times) == scheduler.timesteps.tolist()
    assert DiffusersProcess(DDPMScheduler(clip_sample=False)).levels.clip is None


@pytest.mark.parametrize("setting", [{"thresholding": True}, {"set_alpha_to_one": False}, {"steps_offset": 1}])
def test_settings_that_cannot_be_sampled_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        DiffusersProcess(DDIMScheduler(**setting))
