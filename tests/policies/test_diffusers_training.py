"""Training through diffusers' schedulers, asked for in the configuration, is training as ever."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from robot_stack.core.errors import ConfigError
from robot_stack.policies.process_config import DdimSamplerConfig, DdpmSamplerConfig, DiffusionProcessConfig
from tests.policies.robots import DIFFUSION, policy, training_batch


def through_diffusers(sampler: DdpmSamplerConfig | DdimSamplerConfig):
    process = DiffusionProcessConfig(train_steps=20, prediction="sample", clip=1.5, sampler=sampler)
    return [policy(replace(DIFFUSION, process=replace(process, schedulers=name))) for name in ("own", "diffusers")]


@pytest.mark.parametrize(
    ("sampler", "scheduler"), [(DdpmSamplerConfig(5), DDPMScheduler), (DdimSamplerConfig(5), DDIMScheduler)]
)
def test_loss_and_actions_are_the_same(sampler, scheduler) -> None:
    own, theirs = through_diffusers(sampler)
    batch = training_batch(own)
    losses = [made.loss(batch, torch.Generator().manual_seed(1)) for made in (own, theirs)]
    torch.testing.assert_close(*losses, atol=1e-6, rtol=1e-6)
    assert type(theirs.process.scheduler) is scheduler and theirs.process.levels == own.process.levels
    actions = [made.eval().sample(batch, generator=torch.Generator().manual_seed(2)) for made in (own, theirs)]
    assert torch.equal(*actions)


def test_acting_needs_no_diffusers_and_training_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers.schedulers.scheduling_ddim", None)
    made = through_diffusers(DdimSamplerConfig(5))[1]
    batch = training_batch(made)
    assert made.sample(batch, generator=torch.Generator().manual_seed(0)).isfinite().all()
    with pytest.raises(ConfigError, match="schedulers=own"):
        made.loss(batch, None)
