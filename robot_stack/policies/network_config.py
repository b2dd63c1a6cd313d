"""Sizes of the networks in a policy, as plain data. Fields and defaults are those of the networks in models/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class UnetConfig:
    """The 1-D U-Net of Diffusion Policy: :class:`robot_stack.models.unet1d.ConditionalUnet1d`."""

    kind: Literal["unet"] = field(default="unet", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    down_dims: tuple[int, ...] = (256, 512, 1024)
    """Channels of each level; every level but the last halves the time axis."""

    kernel_size: int = 5
    """Odd width of the convolutions [steps]."""

    groups: int = 8
    """Groups of GroupNorm; divides every entry of ``down_dims``."""

    time_embed_dim: int = 256
    """Size of the time embedding, even."""

    film_scale: bool = True
    """FiLM gives scale and bias, or bias only."""

    def check_horizon(self, horizon: int) -> None:
        """Refuse a horizon that cannot be halved at every level.

        Raises:
            ConfigError: if it cannot.
        """
        factor = 2 ** (len(self.down_dims) - 1)
        if horizon % factor:
            raise ConfigError(
                "the horizon cannot be halved at every level of the U-Net",
                got=f"horizon={horizon} with {len(self.down_dims)} levels",
                expected=f"a multiple of {factor}",
            )


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer of the Large Behavior Models study: ``DiffusionTransformer`` of models/transformer1d.py."""

    kind: Literal["transformer"] = field(default="transformer", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    width: int = 768
    """Size of a token; a multiple of ``heads``."""

    depth: int = 8
    """Blocks."""

    heads: int = 12
    """Attention heads."""

    mlp_ratio: float = 4.0
    """Hidden width of the feed-forward layers over ``width``."""

    time_embed_dim: int = 256
    """Size of the sinusoidal time embedding, even."""

    dropout: float = 0.0
    """Of attention weights and feed-forward outputs, in training."""

    def check_horizon(self, horizon: int) -> None:
        """Any horizon will do."""


@dataclass(frozen=True)
class MlpDenoiserConfig:
    """A residual MLP over the flattened chunk: :class:`robot_stack.models.mlp_denoiser.MlpDenoiser`."""

    kind: Literal["mlp_denoiser"] = field(default="mlp_denoiser", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    width: int = 256
    """Of the residual stream."""

    depth: int = 3
    """Residual blocks."""

    mlp_ratio: float = 2.0
    """Hidden width of a block over ``width``."""

    time_embed_dim: int = 64
    """Size of the sinusoidal time embedding, even."""

    dropout: float = 0.0
    """Of hidden units, in training."""

    skip: bool = False
    """Add the noisy chunk, scaled, to the answer: for chunks of many numbers, as those of two arms."""

    def check_horizon(self, horizon: int) -> None:
        """Any horizon will do."""


@dataclass(frozen=True)
class ChunkMlpConfig:
    """A plain MLP from observations to a chunk: :class:`robot_stack.models.mlp.ChunkMlp`."""

    hidden_dims: tuple[int, ...] = (512, 512, 512)
    """Width of each hidden layer."""

    layer_norm: bool = True
    """Normalise after each hidden layer."""

    dropout: float = 0.0
    """Of hidden units, in training."""


DenoiserConfig: TypeAlias = UnetConfig | TransformerConfig | MlpDenoiserConfig
