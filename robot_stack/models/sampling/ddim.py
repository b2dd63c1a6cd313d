"""DDIM (Song et al., "Denoising Diffusion Implicit Models", arXiv 2010.02502) as a table of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_stack.core.errors import ConfigError
from robot_stack.models.sampling.noise_levels import NoiseLevels
from robot_stack.models.sampling.step_table import LinearStep, StepTableSampler
from robot_stack.models.schedules import Spacing, inference_times


@dataclass(frozen=True)
class DdimConfig:
    """How DDIM samples. Agrees with diffusers' ``DDIMScheduler.step``.

    Args:
        steps: network evaluations.
        eta: 0 is deterministic, 1 adds as much noise as DDPM.
        spacing: where the steps lie among the training times.
        rederive_noise: recompute the noise from the clipped clean chunk (``use_clipped_model_output``).
    """

    steps: int = 10
    eta: float = 0.0
    spacing: Spacing = "leading"
    rederive_noise: bool = False


def ddim_sampler(levels: NoiseLevels, config: DdimConfig) -> StepTableSampler:
    """Build a DDIM sampler.

    As in diffusers every step reaches back by ``train_steps // steps``, whatever the spacing, and the last one to the
    clean chunk.

    Args:
        levels: noise levels of training, kind of prediction, clipping.
        config: how to sample.

    Raises:
        ConfigError: if ``eta`` is negative or the number of steps out of range.
    """
    if config.eta < 0.0:
        raise ConfigError("eta of DDIM cannot be negative", got=config.eta)
    stride = levels.train_steps // config.steps if config.steps > 0 else 0
    times = inference_times(levels.train_steps, config.steps, config.spacing)
    steps = tuple(_step(levels, time, time - stride, config) for time in times)
    return StepTableSampler(steps, levels.clip)


def _step(levels: NoiseLevels, time: int, previous: int, config: DdimConfig) -> LinearStep:
    alpha, alpha_previous = levels.alpha_bar(time), levels.alpha_bar(previous)
    signal, noise = math.sqrt(alpha), math.sqrt(1 - alpha)
    clean_x, clean_out = levels.clean_coefficients(time)
    variance = (1 - alpha_previous) / (1 - alpha) * (1 - alpha / alpha_previous)
    sigma = config.eta * math.sqrt(variance)
    direction = math.sqrt(max(1 - alpha_previous - sigma**2, 0.0))
    next_clean = math.sqrt(alpha_previous)
    if config.rederive_noise:
        next_clean -= direction * signal / noise
        next_x, next_out = direction / noise, 0.0
    else:
        noise_x, noise_out = levels.noise_coefficients(time)
        next_x, next_out = direction * noise_x, direction * noise_out
    return LinearStep(float(time), signal, noise, clean_x, clean_out, next_clean, next_x, next_out, sigma)
