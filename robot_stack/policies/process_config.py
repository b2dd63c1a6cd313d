"""Noise processes and their samplers, as plain data. Fields are those of the processes in models/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class DdpmSamplerConfig:
    """DDPM: adds noise on the way; see :mod:`robot_stack.models.sampling.ddpm`."""

    kind: Literal["ddpm"] = field(default="ddpm", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    steps: int = 100
    """Network evaluations per chunk."""


@dataclass(frozen=True)
class DdimSamplerConfig:
    """DDIM: few, deterministic steps; see :mod:`robot_stack.models.sampling.ddim`."""

    kind: Literal["ddim"] = field(default="ddim", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    steps: int = 10
    """Network evaluations per chunk."""

    eta: float = 0.0
    """0 is deterministic, 1 adds as much noise as DDPM."""


@dataclass(frozen=True)
class DiffusionProcessConfig:
    """Discrete Gaussian diffusion: :class:`robot_stack.models.diffusion.Diffusion`."""

    kind: Literal["diffusion"] = field(default="diffusion", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    train_steps: int = 100
    """Noise levels in training."""

    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "squaredcos_cap_v2"
    """Of the betas."""

    beta_start: float = 1e-4
    """First beta of the linear schedules."""

    beta_end: float = 0.02
    """Last beta of the linear schedules."""

    prediction: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    """What the network learns: the noise, the clean chunk, or the velocity between them."""

    clip: float | None = 1.0
    """Samplers clip predicted clean chunks to ±clip (normalised); ``None`` for no clipping."""

    sampler: DdpmSamplerConfig | DdimSamplerConfig = DdimSamplerConfig()
    """How chunks are sampled."""

    schedulers: Literal["own", "diffusers"] = "own"
    """Whose code adds noise in training: this package's, or diffusers' scheduler of the same name, which must be
    installed then. The numbers are equal; sampling needs no diffusers either way."""

    def __post_init__(self) -> None:
        if not 1 <= self.sampler.steps <= self.train_steps:
            raise ConfigError(
                "a sampler cannot take more steps than there are noise levels",
                got=f"sampler.steps={self.sampler.steps}, train_steps={self.train_steps}",
            )


@dataclass(frozen=True)
class FlowProcessConfig:
    """Flow matching along straight paths: :class:`robot_stack.models.flow_matching.FlowMatching`."""

    kind: Literal["flow"] = field(default="flow", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    time_power: float = 1.0
    """Times are drawn from Beta(time_power, 1): 1 is uniform, 1.5 puts more weight on noisy chunks."""

    time_floor: float = 0.0
    """Smallest time drawn."""

    time_scale: float = 1000.0
    """The network is told ``time_scale * t``."""

    method: Literal["euler", "midpoint", "heun"] = "euler"
    """How the learned velocity is integrated; the last two evaluate the network twice a step."""

    steps: int = 10
    """Integration steps."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError("a flow needs at least one integration step", got=self.steps)


ProcessConfig: TypeAlias = DiffusionProcessConfig | FlowProcessConfig
