"""Diffusion training through a scheduler object of diffusers, for comparison with and moves from its users' code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.models.noise_process import Noised
from robot_stack.models.random_draws import draw_integers
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.noise_levels import NoiseLevels, Prediction
from robot_stack.models.sampling.step_table import StepTableSampler

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

_SUPPORTED = {
    "thresholding": False,
    "rescale_betas_zero_snr": False,
    "set_alpha_to_one": True,
    "steps_offset": 0,
}
"""Settings that the samplers here do not know in other values."""


class DiffusersProcess:
    """A DDPM or DDIM scheduler of diffusers as a :class:`NoiseProcess`; process time is its timestep.

    The scheduler adds the noise and makes the targets; sampling needs no Python scheduler, but has its noise levels,
    prediction, clipping and spacing. :class:`robot_stack.models.diffusion.Diffusion` gives equal numbers without
    diffusers.

    Args:
        scheduler: a ``DDPMScheduler`` or ``DDIMScheduler``.

    Raises:
        ConfigError: if the scheduler has a setting that the samplers here do not know.
    """

    def __init__(self, scheduler: DDPMScheduler | DDIMScheduler) -> None:
        self.scheduler: Any = scheduler
        settings = self.scheduler.config
        self.prediction: Prediction = settings.prediction_type
        require_name("prediction", self.prediction, get_args(Prediction))
        strange = {name: settings.get(name, value) for name, value in _SUPPORTED.items()}
        if strange != _SUPPORTED:
            raise ConfigError(
                "this diffusers scheduler cannot be sampled from here",
                got={name: value for name, value in strange.items() if value != _SUPPORTED[name]},
                expected=_SUPPORTED,
            )
        clip = float(settings.clip_sample_range) if settings.clip_sample else None
        self.levels = NoiseLevels(tuple(self.scheduler.alphas_cumprod.double().tolist()), self.prediction, clip)

    def sample_times(
        self, batch: int, *, generator: torch.Generator | None, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Draw timesteps (B,) uniformly, as int64."""
        return draw_integers(self.levels.train_steps, (batch,), generator, device)

    def corrupt(self, clean: Tensor, noise: Tensor, times: Tensor) -> Noised:
        """Mix ``clean`` (B, T, A) with ``noise`` (B, T, A) at timesteps (B,)."""
        noisy = self.scheduler.add_noise(clean, noise, times)
        if self.prediction == "epsilon":
            return Noised(noisy, times, noise)
        if self.prediction == "sample":
            return Noised(noisy, times, clean)
        return Noised(noisy, times, self.scheduler.get_velocity(clean, noise, times))

    def sampler(self, steps: int) -> StepTableSampler:
        """DDIM with so many steps, deterministic, at the scheduler's spacing."""
        return ddim_sampler(self.levels, DdimConfig(steps=steps, spacing=self.scheduler.config.timestep_spacing))
