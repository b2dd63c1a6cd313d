"""A residual MLP that denoises whole action chunks: the cheapest network for low-dimensional observations.

A chunk of T steps is one vector. On short chunks such a network learns as well as a convolutional one in many
low-dimensional tasks (Ren et al., "Diffusion Policy Policy Optimization", arXiv 2409.00588, use MLPs there), at a
small part of the arithmetic. Conditioning is adaLN-zero as in :mod:`robot_stack.models.transformer1d`.

What a denoiser answers holds the noise of its input, number by number. A stream hardly wider than the chunk cannot
carry all of it through its normalisation: what is lost comes out as white noise on the sampled actions, the more the
larger the chunk is (two arms: 16 steps of 14 numbers). With ``skip`` the noisy chunk is added to the answer, scaled by
a number for each action that time and condition decide, and the stream is left with what is not noise; Karras et al.
(arXiv 2206.00364) scale such a skip by a formula of the noise level.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.embeddings import TimeEmbedding
from robot_stack.models.transformer1d import norm_modulate


@dataclass(frozen=True)
class MlpDenoiserConfig:
    """Sizes of a :class:`MlpDenoiser`.

    Args:
        width: of the residual stream.
        depth: number of residual blocks.
        mlp_ratio: hidden width of a block over ``width``.
        time_embed_dim: size of the sinusoidal time embedding, even.
        dropout: probability of dropping a hidden unit in training.
        skip: whether the noisy chunk, scaled, is added to the answer.
    """

    width: int = 256
    depth: int = 3
    mlp_ratio: float = 2.0
    time_embed_dim: int = 64
    dropout: float = 0.0
    skip: bool = False


class MlpDenoiser(nn.Module):
    """Residual MLP over a flattened action chunk, conditioned by adaLN-zero. A :class:`Denoiser`.

    Args:
        action_dim: actions per step, A.
        cond_dim: size of the global condition, C.
        horizon: steps of a chunk, T; no other length is taken.
        config: sizes.

    Raises:
        ConfigError: if a size is not positive.
    """

    def __init__(self, action_dim: int, cond_dim: int, horizon: int, config: MlpDenoiserConfig | None = None) -> None:
        super().__init__()
        config = config or MlpDenoiserConfig()
        hidden = int(config.width * config.mlp_ratio)
        if min(config.width, config.depth, hidden) < 1:
            raise ConfigError("the sizes of an MLP denoiser must be positive", got=config)
        self.action_dim, self.cond_dim, self.horizon, self.config = action_dim, cond_dim, horizon, config
        width = config.width
        self.time_embedding = TimeEmbedding(
            config.time_embed_dim, hidden_dim=width, out_dim=width, activation=nn.SiLU()
        )
        self.cond_embedding = nn.Linear(cond_dim, width)
        self.chunk_in = nn.Linear(horizon * action_dim, width)
        self.hidden_in = nn.ModuleList([nn.Linear(width, hidden) for _ in range(config.depth)])
        self.hidden_out = nn.ModuleList([nn.Linear(hidden, width) for _ in range(config.depth)])
        self._parts = [width] * (3 * config.depth + 2) + [action_dim] * config.skip
        self.adaln = nn.Linear(width, sum(self._parts))
        self.chunk_out = nn.Linear(width, horizon * action_dim)
        for layer in (self.adaln, self.chunk_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A), network times (B,) and conditions (B, C)."""
        return self.forward_modulated(x, self.modulation(self.encode_times(time), self.encode_cond(cond)))

    def encode_times(self, times: Tensor) -> Tensor:
        """Embed times (S,) as (S, D)."""
        return self.time_embedding(times)

    def encode_cond(self, cond: Tensor) -> Tensor:
        """Embed conditions (B, C) as (B, D)."""
        return self.cond_embedding(cond)

    def modulation(self, encoded_times: Tensor, encoded_cond: Tensor) -> Tensor:
        """All adaLN parameters (..., M) of all blocks, and the skip's, in one product; the two parts broadcast."""
        return self.adaln(F.silu(encoded_times + encoded_cond))

    def forward_modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A) and adaLN parameters (B, M).

        Raises:
            ShapeError: if T is not the horizon.
        """
        if x.shape[1] != self.horizon:
            raise ShapeError("the chunk has another length than the network", got=x.shape[1], expected=self.horizon)
        parts = modulation.split(self._parts, dim=-1)
        stream = self.chunk_in(x.flatten(1))
        for index, (expand, contract) in enumerate(zip(self.hidden_in, self.hidden_out, strict=True)):
            shift, scale, gate = parts[3 * index : 3 * index + 3]
            hidden = F.gelu(expand(norm_modulate(stream, shift, scale)), approximate="tanh")
            if self.config.dropout:
                hidden = F.dropout(hidden, self.config.dropout, self.training)
            stream = torch.addcmul(stream, gate, contract(hidden))
        last = 3 * self.config.depth
        answer = self.chunk_out(norm_modulate(stream, parts[last], parts[last + 1])).view_as(x)
        return torch.addcmul(answer, parts[-1].unsqueeze(-2), x) if self.config.skip else answer
