"""A diffusion transformer over action chunks with adaptive layer norm (adaLN-zero).

Blocks of Peebles & Xie, "Scalable Diffusion Models with Transformers" (arXiv 2212.09748); one token per action step and
all conditioning through adaLN, as in the policy of TRI's Large Behavior Models study (arXiv 2507.05331: 8 blocks of
width 768, condition = time, observation features and an optional language embedding, concatenated by the caller).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.embeddings import TimeEmbedding


@dataclass(frozen=True)
class Transformer1dConfig:
    """Sizes of a :class:`DiffusionTransformer`. The defaults are those of the Large Behavior Models study.

    Args:
        width: size of a token; a multiple of ``heads``.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the feed-forward layers over ``width``.
        time_embed_dim: size of the sinusoidal time embedding, even.
        dropout: probability of dropping attention weights and feed-forward outputs in training.
    """

    width: int = 768
    depth: int = 8
    heads: int = 12
    mlp_ratio: float = 4.0
    time_embed_dim: int = 256
    dropout: float = 0.0


class AdaLnBlock(nn.Module):
    """Self-attention and feed-forward, each shifted, scaled and gated by the condition."""

    def __init__(self, config: Transformer1dConfig) -> None:
        super().__init__()
        width, hidden = config.width, int(config.width * config.mlp_ratio)
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.mlp_in = nn.Linear(width, hidden)
        self.mlp_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Apply to tokens (B, T, D) with (shift, scale, gate) of attention and of the feed-forward, each (B, 1, D)."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation
        x = torch.addcmul(x, gate_a, self._attend(norm_modulate(x, shift_a, scale_a)))
        return torch.addcmul(x, gate_m, self._feed_forward(norm_modulate(x, shift_m, scale_m)))

    def _attend(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        joined = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.proj(joined.transpose(1, 2).reshape(batch, length, width))

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = self.mlp_out(F.gelu(self.mlp_in(x), approximate="tanh"))
        return F.dropout(hidden, self.dropout, self.training) if self.dropout else hidden


class DiffusionTransformer(nn.Module):
    """Transformer over an action chunk, conditioned by adaLN-zero. A :class:`Denoiser`.

    Args:
        action_dim: actions per step, A.
        cond_dim: size of the global condition, C.
        horizon: longest chunk it takes, in steps.
        config: sizes.

    Raises:
        ConfigError: if the sizes do not fit together.
    """

    def __init__(self, action_dim: int, cond_dim: int, horizon: int, config: Transformer1dConfig | None = None) -> None:
        super().__init__()
        config = config or Transformer1dConfig()
        if config.width % config.heads:
            raise ConfigError(
                "the width of a transformer must be a multiple of its heads",
                got=f"width={config.width}, heads={config.heads}",
            )
        self.action_dim, self.cond_dim, self.horizon, self.config = action_dim, cond_dim, horizon, config
        self.time_embedding = TimeEmbedding(
            config.time_embed_dim, hidden_dim=config.width, out_dim=config.width, activation=nn.SiLU()
        )
        self.cond_embedding = nn.Linear(cond_dim, config.width)
        self.token_in = nn.Linear(action_dim, config.width)
        self.positions = nn.Parameter(torch.empty(horizon, config.width).normal_(std=0.02))
        self.blocks = nn.ModuleList([AdaLnBlock(config) for _ in range(config.depth)])
        self.adaln = nn.Linear(config.width, (6 * config.depth + 2) * config.width)
        self.token_out = nn.Linear(config.width, action_dim)
        self._init_weights()

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
        """All adaLN parameters (..., M) of all blocks in one product; the two parts broadcast against each other."""
        return self.adaln(F.silu(encoded_times + encoded_cond))

    def forward_modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A) and adaLN parameters (B, M).

        Raises:
            ShapeError: if T is above the horizon.
        """
        if x.shape[1] > self.horizon:
            raise ShapeError(
                "the chunk is longer than the transformer's horizon", got=x.shape[1], expected=f"<= {self.horizon}"
            )
        parts = modulation.unsqueeze(1).split(self.config.width, dim=-1)
        tokens = self.token_in(x) + self.positions[: x.shape[1]]
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, parts[6 * index : 6 * index + 6])
        return self.token_out(norm_modulate(tokens, parts[-2], parts[-1]))

    def _init_weights(self) -> None:
        """Xavier for the linear layers; zero for the adaLN layer and the output: blocks start as identities."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for layer in (self.time_embedding.linear_in, self.time_embedding.linear_out):
            nn.init.normal_(layer.weight, std=0.02)
        for layer in (self.adaln, self.token_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def norm_modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without own parameters, then ``x * (1 + scale) + shift``."""
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    return torch.addcmul(normed + shift, normed, scale)
