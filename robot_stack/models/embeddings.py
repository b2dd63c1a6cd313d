"""Sinusoidal embedding of the time of a noise process, and the small network on top of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError


def sinusoidal_embedding(times: Tensor, dim: int, *, max_period: float = 10_000.0) -> Tensor:
    """Sines and cosines of ``times`` at geometrically spaced frequencies from 1 to ``1 / max_period``.

    The layout (all sines, then all cosines, last frequency included) is that of Diffusion Policy
    (real-stanford/diffusion_policy), so that its weights keep their meaning.

    Args:
        times: (...,) times, integer or floating.
        dim: size of the embedding, even and at least 4.
        max_period: reciprocal of the lowest frequency.

    Returns:
        (..., dim), float64 for float64 times, else float32 whatever autocast says: low precision would merge
        neighbouring times.
    """
    half = dim // 2
    dtype = torch.float64 if times.dtype == torch.float64 else torch.float32
    index = torch.arange(half, device=times.device, dtype=dtype)
    phases = times.to(dtype).unsqueeze(-1) * torch.exp(index * (-math.log(max_period) / (half - 1)))
    return torch.cat((phases.sin(), phases.cos()), dim=-1)


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding followed by Linear, activation, Linear.

    Args:
        dim: size of the embedding going in, even and at least 4.
        hidden_dim: width between the two linear layers.
        out_dim: size of the result.
        activation: module between the two linear layers.

    Raises:
        ConfigError: if ``dim`` is odd or below 4.
    """

    def __init__(self, dim: int, *, hidden_dim: int, out_dim: int, activation: nn.Module) -> None:
        super().__init__()
        if dim < 4 or dim % 2:
            raise ConfigError("a time embedding needs an even size", got=dim, expected="an even number from 4 on")
        self.dim = dim
        self.linear_in = nn.Linear(dim, hidden_dim)
        self.activation = activation
        self.linear_out = nn.Linear(hidden_dim, out_dim)

    def forward(self, times: Tensor) -> Tensor:
        """Embed times (S,) as (S, out_dim)."""
        features = sinusoidal_embedding(times, self.dim).to(self.linear_in.weight.dtype)
        return self.linear_out(self.activation(self.linear_in(features)))
