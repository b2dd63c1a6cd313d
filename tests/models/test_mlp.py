"""The perceptron and the behaviour-cloning network."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from robot_stack.models.mlp import ChunkMlp, Mlp, MlpConfig


def test_mlp_is_linear_norm_gelu(generator):
    torch.manual_seed(1)
    network = Mlp(3, 2, MlpConfig(hidden_dims=(8,))).double()
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    hidden = network.hidden[0](x)
    hidden = (hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(network(x), F.linear(hidden, network.out.weight, network.out.bias))


def test_mlp_without_hidden_layers_is_linear(generator):
    network = Mlp(3, 2, MlpConfig(hidden_dims=()))
    x = torch.randn(4, 3, generator=generator)
    torch.testing.assert_close(network(x), F.linear(x, network.out.weight, network.out.bias))


def test_chunk_steps_are_consecutive_outputs(generator):
    network = ChunkMlp(action_dim=2, cond_dim=3, horizon=4, config=MlpConfig(hidden_dims=(8,), layer_norm=False))
    cond = torch.randn(5, 3, generator=generator)
    chunk = network(cond)
    assert chunk.shape == (5, 4, 2)
    torch.testing.assert_close(chunk[:, 1], network.mlp(cond)[:, 2:4])


def test_dropout_acts_in_training_only(generator):
    network = Mlp(3, 2, MlpConfig(hidden_dims=(32,), dropout=0.5))
    x = torch.randn(4, 3, generator=generator)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
