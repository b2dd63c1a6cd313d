"""The transformer against a re-derivation with explicit loops, and against itself in parts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.transformer1d import DiffusionTransformer, Transformer1dConfig

SMALL = Transformer1dConfig(width=16, depth=2, heads=4, mlp_ratio=2.0, time_embed_dim=8)


@pytest.fixture
def network():
    torch.manual_seed(3)
    net = DiffusionTransformer(2, 5, 6, SMALL).double()
    for layer in (net.adaln, net.token_out):
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.normal_(layer.bias, std=0.3)
    return net


def normed(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def naive_attention(block, x, heads):
    batch, _, width = x.shape
    q, k, v = (x @ block.qkv.weight.T + block.qkv.bias).split(width, dim=-1)
    size = width // heads
    joined = torch.zeros_like(x)
    for sample in range(batch):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[sample, :, part] @ k[sample, :, part].T / math.sqrt(size)
            joined[sample, :, part] = torch.softmax(scores, dim=-1) @ v[sample, :, part]
    return joined @ block.proj.weight.T + block.proj.bias


def test_output_follows_the_formulas(network, generator):
    x = torch.randn(3, 6, 2, generator=generator, dtype=torch.float64)
    cond = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    time = torch.tensor([0.0, 10.0, 99.0], dtype=torch.float64)

    vector = network.time_embedding(time) + network.cond_embedding(cond)
    modulation = (vector * torch.sigmoid(vector)) @ network.adaln.weight.T + network.adaln.bias
    pieces = [piece[:, None] for piece in modulation.split(16, dim=-1)]
    tokens = network.token_in(x) + network.positions
    for block in network.blocks:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (pieces.pop(0) for _ in range(6))
        tokens = tokens + gate_a * naive_attention(block, normed(tokens) * (1 + scale_a) + shift_a, SMALL.heads)
        hidden = block.mlp_in(normed(tokens) * (1 + scale_m) + shift_m)
        cubic = math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)
        tokens = tokens + gate_m * block.mlp_out(0.5 * hidden * (1 + torch.tanh(cubic)))
    shift, scale = pieces
    expected = network.token_out(normed(tokens) * (1 + scale) + shift)
    torch.testing.assert_close(network(x, time, cond), expected, atol=1e-10, rtol=1e-10)


def test_conditioning_computed_ahead_changes_nothing(network, generator):
    times = torch.tensor([90.0, 40.0, 0.0], dtype=torch.float64)
    x = torch.randn(5, 6, 2, generator=generator, dtype=torch.float64)
    cond = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    ahead = network.modulation(network.encode_times(times).unsqueeze(1), network.encode_cond(cond).unsqueeze(0))
    for time, modulation in zip(times, ahead, strict=True):
        expected = network(x, time.expand(5), cond)
        torch.testing.assert_close(network.forward_modulated(x, modulation), expected, atol=1e-12, rtol=1e-12)


def test_training_starts_with_identity_blocks_and_zero_output(generator):
    fresh = DiffusionTransformer(2, 5, 6, SMALL)
    x, cond = torch.randn(3, 6, 2, generator=generator), torch.randn(3, 5, generator=generator)
    assert fresh(x, torch.tensor([0, 5, 9]), cond).abs().max() == 0
    tokens = torch.randn(3, 6, 16, generator=generator)
    parts = fresh.modulation(fresh.encode_times(torch.zeros(3)), fresh.encode_cond(cond)).unsqueeze(1).split(16, -1)
    assert torch.equal(fresh.blocks[0](tokens, parts[:6]), tokens)


def test_steps_are_told_apart_by_position_only(network, generator):
    x = torch.randn(1, 6, 2, generator=generator, dtype=torch.float64)
    time, cond = torch.tensor([4.0], dtype=torch.float64), torch.zeros(1, 5, dtype=torch.float64)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    assert (network(x[:, order], time, cond) - network(x, time, cond)[:, order]).abs().max() > 1e-3
    with torch.no_grad():
        network.positions.zero_()
    torch.testing.assert_close(network(x[:, order], time, cond), network(x, time, cond)[:, order])


def test_dropout_acts_in_training_only(generator):
    torch.manual_seed(0)
    network = DiffusionTransformer(2, 5, 6, Transformer1dConfig(**{**SMALL.__dict__, "dropout": 0.5}))
    for layer in (network.adaln, network.token_out):
        nn.init.normal_(layer.weight, std=0.3)
    x, cond = torch.randn(3, 6, 2, generator=generator), torch.randn(3, 5, generator=generator)
    time = torch.tensor([1, 2, 3])
    assert not torch.equal(network(x, time, cond), network(x, time, cond))
    network.eval()
    assert torch.equal(network(x, time, cond), network(x, time, cond))


def test_bfloat16_autocast_stays_close(network, generator):
    network = network.float()
    x, cond = torch.randn(4, 6, 2, generator=generator), torch.randn(4, 5, generator=generator)
    time = torch.tensor([0, 1, 50, 99])
    expected = network(x, time, cond)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = network(x, time, cond)
    assert (actual.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_wrong_sizes_are_refused(network):
    with pytest.raises(ShapeError, match="longer"):
        network(torch.zeros(1, 7, 2).double(), torch.zeros(1).double(), torch.zeros(1, 5).double())
    with pytest.raises(ConfigError, match="heads"):
        DiffusionTransformer(2, 5, 6, Transformer1dConfig(width=10, heads=4))
