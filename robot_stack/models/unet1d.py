"""The conditional 1-D U-Net of Diffusion Policy, arranged so that all conditioning can be computed ahead.

Architecture of Chi et al., "Diffusion Policy" (RSS 2023, arXiv 2303.04137; real-stanford/diffusion_policy): residual
blocks of Conv1d, GroupNorm and Mish over time, every block modulated by FiLM (Perez et al., arXiv 1709.07871) with the
time of the noise process and the observation.

In that architecture each block passes Mish of the same vector ``[time, condition]`` through its own linear layer. As
Mish works element by element, ``W mish([t, c]) + b = W_t mish(t) + (W_c mish(c) + b)``. Here all blocks share two
linear layers (time part, condition part): one product each serves all blocks, and a sampler needs the time part once
per set of weights and the condition part once per chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.conv1d import Conv1d, Upsample1d
from robot_stack.models.embeddings import TimeEmbedding


@dataclass(frozen=True)
class Unet1dConfig:
    """Sizes of a :class:`ConditionalUnet1d`. The defaults are Diffusion Policy's for low-dimensional observations.

    Args:
        down_dims: channels of each level; every level but the last halves the time axis.
        kernel_size: odd width of the convolutions, in time steps.
        groups: groups of GroupNorm; divides every entry of ``down_dims``.
        time_embed_dim: size of the time embedding, even.
        film_scale: FiLM gives scale and bias (true) or bias only (false).
    """

    down_dims: tuple[int, ...] = (256, 512, 1024)
    kernel_size: int = 5
    groups: int = 8
    time_embed_dim: int = 256
    film_scale: bool = True


class ConvBlock(nn.Module):
    """Conv1d that keeps the length, GroupNorm, Mish: (B, C_in, T) -> (B, C_out, T)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.conv = Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = nn.GroupNorm(groups, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (B, C_in, T)."""
        return F.mish(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two convolution blocks with FiLM between them and a skip: (B, C_in, T) -> (B, C_out, T)."""

    def __init__(self, in_channels: int, out_channels: int, config: Unet1dConfig) -> None:
        super().__init__()
        self.first = ConvBlock(in_channels, out_channels, config.kernel_size, config.groups)
        self.second = ConvBlock(out_channels, out_channels, config.kernel_size, config.groups)
        self.skip = Conv1d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.film_sizes = [out_channels] * (2 if config.film_scale else 1)

    def forward(self, x: Tensor, film: tuple[Tensor, ...]) -> Tensor:
        """Apply to (B, C_in, T) with FiLM parameters (B, C_out, 1): (scale, bias), or (bias,)."""
        hidden = self.first(x)
        hidden = torch.addcmul(film[1], hidden, film[0]) if len(film) == 2 else hidden + film[0]
        return self.second(hidden) + self.skip(x)


class ConditionalUnet1d(nn.Module):
    """1-D U-Net over an action chunk, conditioned on time and a global observation vector. A :class:`Denoiser`.

    Args:
        action_dim: actions per step, A.
        cond_dim: size of the global condition, C (0 for none: then pass conditions of shape (B, 0)).
        config: sizes.

    Raises:
        ConfigError: if the sizes do not fit together.
    """

    def __init__(self, action_dim: int, cond_dim: int, config: Unet1dConfig | None = None) -> None:
        super().__init__()
        config = config or Unet1dConfig()
        _check(config)
        dims = config.down_dims
        self.action_dim, self.cond_dim, self.config = action_dim, cond_dim, config
        self.time_embedding = TimeEmbedding(
            config.time_embed_dim,
            hidden_dim=4 * config.time_embed_dim,
            out_dim=config.time_embed_dim,
            activation=nn.Mish(),
        )
        self.down = nn.ModuleList()
        self.downsample = nn.ModuleList()
        for level, (before, after) in enumerate(zip((action_dim, *dims[:-1]), dims, strict=True)):
            self.down.append(nn.ModuleList([ResidualBlock(before, after, config), ResidualBlock(after, after, config)]))
            if level < len(dims) - 1:
                self.downsample.append(Conv1d(after, after, 3, stride=2, padding=1))
        self.middle = nn.ModuleList([ResidualBlock(dims[-1], dims[-1], config) for _ in range(2)])
        self.up = nn.ModuleList()
        self.upsample = nn.ModuleList()
        for after, before in zip(dims[-2::-1], dims[:0:-1], strict=True):
            self.up.append(
                nn.ModuleList([ResidualBlock(2 * before, after, config), ResidualBlock(after, after, config)])
            )
            self.upsample.append(Upsample1d(after))
        self.final = ConvBlock(dims[0], dims[0], config.kernel_size, groups=config.groups)
        self.out = Conv1d(dims[0], action_dim, 1)
        self._film_sizes = [size for block in self.residual_blocks() for size in block.film_sizes]
        self.film_time = nn.Linear(config.time_embed_dim, sum(self._film_sizes), bias=False)
        self.film_cond = nn.Linear(cond_dim, sum(self._film_sizes))
        self._init_film()

    def residual_blocks(self) -> list[ResidualBlock]:
        """Every residual block in the order of execution, which is the order of their FiLM parameters."""
        pairs = [*self.down, self.middle, *self.up]
        return [block for pair in pairs for block in pair]  # type: ignore[union-attr]

    def forward(self, x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A), network times (B,) and conditions (B, C)."""
        return self.forward_modulated(x, self.modulation(self.encode_times(time), self.encode_cond(cond)))

    def encode_times(self, times: Tensor) -> Tensor:
        """Time part of all FiLM parameters: (S,) -> (S, M)."""
        return self.film_time(F.mish(self.time_embedding(times)))

    def encode_cond(self, cond: Tensor) -> Tensor:
        """Condition part of all FiLM parameters: (B, C) -> (B, M)."""
        return self.film_cond(F.mish(cond))

    def modulation(self, encoded_times: Tensor, encoded_cond: Tensor) -> Tensor:
        """All FiLM parameters (..., M) from their two parts, broadcast against each other."""
        return encoded_times + encoded_cond

    def forward_modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A) and FiLM parameters (B, M).

        Raises:
            ShapeError: if T cannot be halved at every level.
        """
        _check_horizon(x, len(self.downsample))
        film = iter(_pairs(modulation.unsqueeze(-1).split(self._film_sizes, dim=1), self.config.film_scale))
        x = x.transpose(1, 2)
        skips: list[Tensor] = []
        for level, pair in enumerate(self.down):
            for block in pair:  # type: ignore[attr-defined]
                x = block(x, next(film))
            if level < len(self.downsample):
                skips.append(x)
                x = self.downsample[level](x)
        skips.append(x)
        for block in self.middle:
            x = block(x, next(film))
        for pair, upsample in zip(self.up, self.upsample, strict=True):
            x = torch.cat((x, skips.pop()), dim=1)
            for block in pair:  # type: ignore[attr-defined]
                x = block(x, next(film))
            x = upsample(x)
        return self.out(self.final(x)).transpose(1, 2)

    def _init_film(self) -> None:
        """Draw both FiLM parts as the one linear layer over ``[time, condition]`` that they stand for."""
        bound = 1.0 / math.sqrt(self.config.time_embed_dim + self.cond_dim)
        with torch.no_grad():
            for parameter in (self.film_time.weight, self.film_cond.weight, self.film_cond.bias):
                parameter.uniform_(-bound, bound)


def _pairs(parts: tuple[Tensor, ...], scaled: bool) -> list[tuple[Tensor, ...]]:
    return list(zip(parts[0::2], parts[1::2], strict=True)) if scaled else [(part,) for part in parts]


def _check(config: Unet1dConfig) -> None:
    if not config.down_dims or any(dim <= 0 or dim % config.groups for dim in config.down_dims):
        raise ConfigError(
            "every entry of down_dims must be a positive multiple of groups",
            got=f"down_dims={config.down_dims}, groups={config.groups}",
        )
    if config.kernel_size % 2 == 0:
        raise ConfigError("the kernel of a U-Net must be odd to keep the length", got=config.kernel_size)


def _check_horizon(x: Tensor, halvings: int) -> None:
    if x.shape[1] % 2**halvings:
        raise ShapeError(
            "the horizon cannot be halved at every level of the U-Net",
            got=f"{x.shape[1]} steps",
            expected=f"a multiple of {2**halvings}",
            remedy="choose another horizon or fewer entries in down_dims",
        )
