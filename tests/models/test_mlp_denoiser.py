"""The MLP denoiser against its formulas and in parts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.mlp_denoiser import MlpDenoiser, MlpDenoiserConfig

SMALL = MlpDenoiserConfig(width=16, depth=2, mlp_ratio=1.5, time_embed_dim=8)


@pytest.fixture
def network():
    torch.manual_seed(3)
    net = MlpDenoiser(2, 5, 6, SMALL).double()
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
    pieces = list((network.adaln(vector * torch.sigmoid(vector))).split(16, dim=-1))
    stream = network.chunk_in(x.reshape(3, 12))
    for expand, contract in zip(network.hidden_in, network.hidden_out, strict=True):
        shift, scale, gate = (pieces.pop(0) for _ in range(3))
        hidden = expand(normed(stream) * (1 + scale) + shift)
        hidden = 0.5 * hidden * (1 + torch.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))
        stream = stream + gate * contract(hidden)
    shift, scale = pieces
    expected = network.chunk_out(normed(stream) * (1 + scale) + shift).reshape(3, 6, 2)
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
