"""DDPM (Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239) as a table of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_stack.models.sampling.noise_levels import NoiseLevels
from robot_stack.models.sampling.step_table import LinearStep, StepTableSampler
from robot_stack.models.schedules import Spacing, inference_times


@dataclass(frozen=True)
class DdpmConfig:
    """How DDPM samples. Agrees with diffusers' ``DDPMScheduler.step`` with variance ``fixed_small``.

    Args:
        steps: network evaluations; Diffusion Policy trains and samples with 100.
        spacing: where the steps lie among the training times.
    """

    steps: int = 100
    spacing: Spacing = "leading"


def ddpm_sampler(levels: NoiseLevels, config: DdpmConfig) -> StepTableSampler:
    """Build a DDPM sampler: each step goes to the next visited time and adds the posterior's noise.

    Args:
        levels: noise levels of training, kind of prediction, clipping.
        config: how to sample.

    Raises:
        ConfigError: if the number of steps is out of range.
    """
    times = inference_times(levels.train_steps, config.steps, config.spacing)
    steps = tuple(_step(levels, time, previous) for time, previous in zip(times, (*times[1:], -1), strict=True))
    return StepTableSampler(steps, levels.clip)


def _step(levels: NoiseLevels, time: int, previous: int) -> LinearStep:
    alpha, alpha_previous = levels.alpha_bar(time), levels.alpha_bar(previous)
    step_alpha = alpha / alpha_previous
    step_beta = 1 - step_alpha
    clean_x, clean_out = levels.clean_coefficients(time)
    variance = (1 - alpha_previous) / (1 - alpha) * step_beta
    return LinearStep(
        network_time=float(time),
        signal=math.sqrt(alpha),
        noise=math.sqrt(1 - alpha),
        clean_x=clean_x,
        clean_out=clean_out,
        next_clean=math.sqrt(alpha_previous) * step_beta / (1 - alpha),
        next_x=math.sqrt(step_alpha) * (1 - alpha_previous) / (1 - alpha),
        next_out=0.0,
        next_noise=math.sqrt(max(variance, 1e-20)) if time > 0 else 0.0,
    )
