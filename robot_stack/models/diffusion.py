"""Discrete-time Gaussian diffusion (DDPM training), as in Diffusion Policy and the Large Behavior Models study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.models.noise_process import Noised
from robot_stack.models.random_draws import draw_integers
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.noise_levels import NoiseLevels, Prediction
from robot_stack.models.sampling.step_table import StepTableSampler
from robot_stack.models.schedules import BetaSchedule, betas


@dataclass(frozen=True)
class DiffusionConfig:
    """A diffusion process. The defaults are Diffusion Policy's.

    Args:
        train_steps: number of noise levels.
        schedule: beta schedule.
        beta_start: first beta of the linear schedules.
        beta_end: last beta of the linear schedules.
        prediction: what the network learns to predict, see :class:`NoiseLevels`.
        clip: samplers clip predicted clean chunks to [-clip, clip]; ``None`` for no clipping. Actions are normalised
            to [-1, 1] for it, or clipped to the same range by the normaliser.
    """

    train_steps: int = 100
    schedule: BetaSchedule = "squaredcos_cap_v2"
    beta_start: float = 1e-4
    beta_end: float = 0.02
    prediction: Prediction = "epsilon"
    clip: float | None = 1.0


class Diffusion:
    """Gaussian diffusion over action chunks. A :class:`NoiseProcess`; process time is the index of the noise level.

    Args:
        config: the process.

    Raises:
        ConfigError: if a value is out of range.
    """

    def __init__(self, config: DiffusionConfig | None = None) -> None:
        self.config = config = config or DiffusionConfig()
        require_name("prediction", config.prediction, get_args(Prediction))
        if config.train_steps < 1:
            raise ConfigError("a diffusion process needs at least one step", got=config.train_steps)
        beta = betas(config.schedule, config.train_steps, config.beta_start, config.beta_end)
        alpha_bars = torch.cumprod(1.0 - beta, dim=0)
        self.levels = NoiseLevels(tuple(alpha_bars.double().tolist()), config.prediction, config.clip)
        self._factors = torch.stack((alpha_bars.double().sqrt(), (1.0 - alpha_bars.double()).sqrt()))

    def sample_times(
        self, batch: int, *, generator: torch.Generator | None, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Draw noise levels (B,) uniformly, as int64."""
        return draw_integers(self.config.train_steps, (batch,), generator, device)

    def corrupt(self, clean: Tensor, noise: Tensor, times: Tensor) -> Noised:
        """Mix ``clean`` (B, T, A) with ``noise`` (B, T, A) at noise levels ``times`` (B,)."""
        signal_scale, noise_scale = self._scales(times, clean)
        noisy = torch.addcmul(signal_scale * clean, noise_scale, noise)
        return Noised(noisy, times, self._target(clean, noise, signal_scale, noise_scale))

    def sampler(self, steps: int) -> StepTableSampler:
        """DDIM with so many steps, deterministic."""
        return ddim_sampler(self.levels, DdimConfig(steps=steps))

    def _scales(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        if self._factors.device != like.device or self._factors.dtype != like.dtype:
            self._factors = self._factors.to(like.device, like.dtype)
        signal_scale, noise_scale = self._factors[:, times].view(2, -1, *[1] * (like.dim() - 1)).unbind(0)
        return signal_scale, noise_scale

    def _target(self, clean: Tensor, noise: Tensor, signal_scale: Tensor, noise_scale: Tensor) -> Tensor:
        if self.config.prediction == "epsilon":
            return noise
        if self.config.prediction == "sample":
            return clean
        return signal_scale * noise - noise_scale * clean
