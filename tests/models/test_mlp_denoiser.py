"""The MLP denoiser against its formulas and in parts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.flow_matching import FlowMatching
from robot_stack.models.losses import denoising_loss
from robot_stack.models.mlp_denoiser import MlpDenoiser, MlpDenoiserConfig

SMALL = MlpDenoiserConfig(width=16, depth=2, mlp_ratio=1.5, time_embed_dim=8)


@pytest.fixture(params=[False, True], ids=["plain", "skip"])
def network(request):
    torch.manual_seed(3)
    net = MlpDenoiser(2, 5, 6, replace(SMALL, skip=request.param)).double()
    for layer in (net.adaln, net.chunk_out):
        nn.init.normal_(layer.weight, std=0.3)
    return net


def normed(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def test_output_follows_the_formulas(network, generator):
    x = torch.randn(3, 6, 2, generator=generator, dtype=torch.float64)
    cond = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    time = torch.tensor([0.0, 10.0, 99.0], dtype=torch.float64)
    vector = network.time_embedding(time) + network.cond_embedding(cond)
    numbers = network.adaln(vector * torch.sigmoid(vector))
    assert numbers.shape[-1] == 8 * 16 + 2 * network.config.skip
    pieces = list(numbers[:, : 8 * 16].split(16, dim=-1))
    stream = network.chunk_in(x.reshape(3, 12))
    for expand, contract in zip(network.hidden_in, network.hidden_out, strict=True):
        shift, scale, gate = (pieces.pop(0) for _ in range(3))
        hidden = expand(normed(stream) * (1 + scale) + shift)
        hidden = 0.5 * hidden * (1 + torch.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))
        stream = stream + gate * contract(hidden)
    shift, scale = pieces
    expected = network.chunk_out(normed(stream) * (1 + scale) + shift).reshape(3, 6, 2)
    if network.config.skip:
        expected = expected + numbers[:, None, 8 * 16 :] * x
    torch.testing.assert_close(network(x, time, cond), expected, atol=1e-10, rtol=1e-10)


def test_conditioning_computed_ahead_changes_nothing(network, generator):
    times = torch.tensor([90.0, 40.0, 0.0], dtype=torch.float64)
    x = torch.randn(5, 6, 2, generator=generator, dtype=torch.float64)
    cond = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    ahead = network.modulation(network.encode_times(times).unsqueeze(1), network.encode_cond(cond).unsqueeze(0))
    for time, modulation in zip(times, ahead, strict=True):
        expected = network(x, time.expand(5), cond)
        torch.testing.assert_close(network.forward_modulated(x, modulation), expected, atol=1e-12, rtol=1e-12)


def test_wrong_sizes_are_refused(network):
    with pytest.raises(ShapeError, match="another length"):
        network(torch.zeros(1, 5, 2).double(), torch.zeros(1).double(), torch.zeros(1, 5).double())
    with pytest.raises(ConfigError, match="positive"):
        MlpDenoiser(2, 5, 6, MlpDenoiserConfig(depth=0))


def test_a_chunk_larger_than_the_stream_is_sampled_without_white_noise():
    """Sixteen steps of two arms on a narrow network: what is sampled is what the condition says, not noise on top.

    Without the skip the same network leaves noise of 0.86 on every number, with it 0.01.
    """
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = MlpDenoiser(14, 3, 16, MlpDenoiserConfig(width=64, depth=2, skip=True))
    process = FlowMatching()
    directions = torch.randn(3, 16, 14, generator=generator) / 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for _ in range(600):
        cond = torch.rand(64, 3, generator=generator) * 2 - 1
        optimizer.zero_grad()
        denoising_loss(network, process, torch.einsum("bc,cta->bta", cond, directions), cond, generator).backward()
        optimizer.step()
        schedule.step()
    cond = torch.rand(100, 3, generator=generator) * 2 - 1
    with torch.no_grad():
        got = process.sampler(8)(network, torch.randn(100, 16, 14, generator=generator), cond)
    assert (got - torch.einsum("bc,cta->bta", cond, directions)).std() < 0.05
