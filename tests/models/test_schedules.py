"""Schedules and time spacings against diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.models.schedules import betas, inference_times


@pytest.mark.parametrize("schedule", ["squaredcos_cap_v2", "linear", "scaled_linear"])
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_betas_equal_diffusers_bit_for_bit(schedule, steps):
    theirs = DDPMScheduler(num_train_timesteps=steps, beta_schedule=schedule, beta_start=2e-4, beta_end=0.03)
    assert torch.equal(betas(schedule, steps, beta_start=2e-4, beta_end=0.03), theirs.betas)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("train_steps", [100, 1000])
def test_inference_times_equal_diffusers(spacing, train_steps):
    theirs = DDIMScheduler(num_train_timesteps=train_steps, timestep_spacing=spacing)
    for steps in (1, 2, 3, 7, 10, 16, 33, 64, 99, 100):
        theirs.set_timesteps(steps)
        assert list(inference_times(train_steps, steps, spacing)) == theirs.timesteps.tolist()


def test_wrong_requests_are_refused():
    with pytest.raises(UnknownNameError, match="squaredcos_cap_v2"):
        betas("squaredcos", 10)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="leading"):
        inference_times(100, 10, "leaving")  # type: ignore[arg-type]
    for steps in (0, 101):
        with pytest.raises(ConfigError, match="1 to 100"):
            inference_times(100, steps)
