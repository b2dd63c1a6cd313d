"""From plain data to networks, noise processes and samplers: the one place where kinds become classes of models/."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import nn

from robot_stack.core.errors import ConfigError
from robot_stack.models.diffusers_process import DiffusersProcess
from robot_stack.models.diffusion import Diffusion, DiffusionConfig
from robot_stack.models.flow_matching import FlowConfig, FlowMatching
from robot_stack.models.mlp import ChunkMlp, MlpConfig
from robot_stack.models.mlp_denoiser import MlpDenoiser
from robot_stack.models.mlp_denoiser import MlpDenoiserConfig as MlpDenoiserSizes
from robot_stack.models.noise_process import NoiseProcess
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.ddpm import DdpmConfig, ddpm_sampler
from robot_stack.models.sampling.flow import EulerConfig, SecondOrderConfig, SecondOrderSampler, euler_sampler
from robot_stack.models.sampling.sampler import Sampler
from robot_stack.models.transformer1d import DiffusionTransformer, Transformer1dConfig
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig
from robot_stack.policies.network_config import ChunkMlpConfig, DenoiserConfig, TransformerConfig, UnetConfig
from robot_stack.policies.process_config import DdimSamplerConfig, DiffusionProcessConfig, ProcessConfig


def make_denoiser(config: DenoiserConfig, action_dim: int, cond_dim: int, horizon: int) -> nn.Module:
    """The network that removes noise; a :class:`robot_stack.models.denoiser.Denoiser`."""
    if isinstance(config, UnetConfig):
        return ConditionalUnet1d(action_dim, cond_dim, Unet1dConfig(**sizes(config)))
    if isinstance(config, TransformerConfig):
        return DiffusionTransformer(action_dim, cond_dim, horizon, Transformer1dConfig(**sizes(config)))
    return MlpDenoiser(action_dim, cond_dim, horizon, MlpDenoiserSizes(**sizes(config)))


def make_chunk_mlp(config: ChunkMlpConfig, action_dim: int, cond_dim: int, horizon: int) -> ChunkMlp:
    """The network of plain behaviour cloning."""
    return ChunkMlp(action_dim, cond_dim, horizon, MlpConfig(**sizes(config)))


def make_process(config: ProcessConfig) -> NoiseProcess:
    """How noise is added in training.

    Raises:
        ConfigError: if diffusers was asked for and is not installed.
    """
    if not isinstance(config, DiffusionProcessConfig):
        return _flow(config)
    return _through_diffusers(config) if config.schedulers == "diffusers" else _diffusion(config)


def make_sampler(config: ProcessConfig) -> Sampler:
    """How noise is removed at inference."""
    if isinstance(config, DiffusionProcessConfig):
        levels, chosen = _diffusion(config).levels, config.sampler
        if isinstance(chosen, DdimSamplerConfig):
            return ddim_sampler(levels, DdimConfig(chosen.steps, chosen.eta))
        return ddpm_sampler(levels, DdpmConfig(chosen.steps))
    if config.method == "euler":
        return euler_sampler(EulerConfig(config.steps), config.time_scale)
    return SecondOrderSampler(SecondOrderConfig(config.steps, config.method), config.time_scale)


def sizes(config: Any) -> dict[str, Any]:
    """The fields of a network configuration, without its kind."""
    return {f.name: getattr(config, f.name) for f in fields(config) if f.name != "kind"}


def _diffusion(config: DiffusionProcessConfig) -> Diffusion:
    return Diffusion(
        DiffusionConfig(
            config.train_steps, config.schedule, config.beta_start, config.beta_end, config.prediction, config.clip
        )
    )


def _through_diffusers(config: DiffusionProcessConfig) -> DiffusersProcess:
    try:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    except ImportError as error:
        raise ConfigError(
            "diffusers was asked for and cannot be imported",
            got=error,
            remedy="pip install diffusers, or train with schedulers=own: the numbers are equal",
        ) from error
    kind = DDIMScheduler if isinstance(config.sampler, DdimSamplerConfig) else DDPMScheduler
    return DiffusersProcess(
        kind(
            num_train_timesteps=config.train_steps,
            beta_schedule=config.schedule,
            beta_start=config.beta_start,
            beta_end=config.beta_end,
            prediction_type=config.prediction,
            clip_sample=config.clip is not None,
            clip_sample_range=1.0 if config.clip is None else config.clip,
        )
    )


def _flow(config: ProcessConfig) -> FlowMatching:
    assert not isinstance(config, DiffusionProcessConfig)
    return FlowMatching(FlowConfig(config.time_power, config.time_floor, config.time_scale))
