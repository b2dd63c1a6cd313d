"""Each network with each process learns a small distribution with two modes, and its samples have both.

The mean of the two modes is no sample of the data: regression would answer with it.
"""

from __future__ import annotations

import pytest
import torch

from robot_stack.models.diffusion import Diffusion
from robot_stack.models.ema import Ema, EmaConfig
from robot_stack.models.flow_matching import FlowMatching
from robot_stack.models.losses import denoising_loss
from robot_stack.models.mlp_denoiser import MlpDenoiser, MlpDenoiserConfig
from robot_stack.models.transformer1d import DiffusionTransformer, Transformer1dConfig
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig

HORIZON = 4
NETWORKS = {
    "mlp": (lambda: MlpDenoiser(1, 1, HORIZON, MlpDenoiserConfig(width=64, depth=2)), 300, 5e-3),
    "transformer": (
        lambda: DiffusionTransformer(1, 1, HORIZON, Transformer1dConfig(width=32, depth=2, heads=2)),
        400,
        3e-3,
    ),
    "unet": (lambda: ConditionalUnet1d(1, 1, Unet1dConfig(down_dims=(16, 32), time_embed_dim=32)), 1000, 3e-3),
}


def draw_data(batch, generator):
    """Ramps that go up or down with equal chance, shifted by the condition."""
    cond = 0.4 * torch.randint(-1, 2, (batch, 1), generator=generator).float()
    sign = torch.randint(0, 2, (batch, 1), generator=generator).float() * 2 - 1
    ramp = torch.linspace(0.1, 0.5, HORIZON)
    return (sign * ramp + cond).unsqueeze(-1), cond


@pytest.mark.parametrize("process", [Diffusion(), FlowMatching()], ids=["diffusion", "flow"])
@pytest.mark.parametrize(
    "name", ["mlp", pytest.param("transformer", marks=pytest.mark.slow), pytest.param("unet", marks=pytest.mark.slow)]
)
def test_samples_have_both_modes_and_follow_the_condition(name, process):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    build, steps, rate = NETWORKS[name]
    network = build()
    ema = Ema(network, EmaConfig(max_decay=0.98))
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chunks, cond = draw_data(64, generator)
        optimizer.zero_grad()
        denoising_loss(network, process, chunks, cond, generator).backward()
        optimizer.step()
        schedule.step()
        ema.update(network)
    cond = torch.tensor([[-0.4], [0.4]]).repeat(100, 1)
    noise = torch.randn(200, HORIZON, 1, generator=generator)
    with torch.no_grad():
        samples = process.sampler(10)(ema.module, noise, cond).squeeze(-1) - cond
    ramp = torch.linspace(0.1, 0.5, HORIZON)
    up, down = (samples - ramp).abs().amax(dim=1), (samples + ramp).abs().amax(dim=1)
    near = torch.minimum(up, down) < 0.15
    assert near.float().mean() > 0.85
    share = (up < down)[near].float().mean()
    assert 0.25 < share < 0.75
