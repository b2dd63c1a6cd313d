"""Beta schedules and inference time spacings of discrete diffusion.

Numbers agree with diffusers' DDPMScheduler and DDIMScheduler bit for bit, in float32 like theirs: networks trained
with those schedulers (Diffusion Policy, LeRobot) are sampled with exactly the noise levels of their training.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError, require_name

BetaSchedule = Literal["squaredcos_cap_v2", "linear", "scaled_linear"]
Spacing = Literal["leading", "trailing", "linspace"]


def betas(schedule: BetaSchedule, steps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """Variance added by each training step.

    Args:
        schedule: ``squaredcos_cap_v2`` (Nichol & Dhariwal, arXiv 2102.09672, betas capped at 0.999; ignores the two
            bounds), ``linear``, or ``scaled_linear`` (linear in the square root).
        steps: number of training steps.
        beta_start: first beta of the linear schedules.
        beta_end: last beta of the linear schedules.

    Returns:
        (steps,) float32.
    """
    require_name("beta schedule", schedule, get_args(BetaSchedule))
    if schedule == "linear":
        return torch.linspace(beta_start, beta_end, steps, dtype=torch.float32)
    if schedule == "scaled_linear":
        return torch.linspace(beta_start**0.5, beta_end**0.5, steps, dtype=torch.float32) ** 2
    levels = [math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for step in range(steps + 1)]
    return torch.tensor([min(1 - levels[i + 1] / levels[i], 0.999) for i in range(steps)], dtype=torch.float32)


def inference_times(train_steps: int, steps: int, spacing: Spacing = "leading") -> tuple[int, ...]:
    """Training times visited by a sampler with fewer steps, from the noisiest to the cleanest.

    The three spacings are those of Table 2 in Lin et al., "Common Diffusion Noise Schedules and Sample Steps are
    Flawed" (arXiv 2305.08891).

    Args:
        train_steps: number of training steps.
        steps: number of inference steps, at most ``train_steps``.
        spacing: where to put them.

    Returns:
        ``steps`` times, strictly falling.

    Raises:
        ConfigError: if ``steps`` is out of range.
    """
    require_name("time spacing", spacing, get_args(Spacing))
    if not 1 <= steps <= train_steps:
        raise ConfigError("the number of sampling steps is out of range", got=steps, expected=f"1 to {train_steps}")
    if spacing == "linspace":
        times = np.linspace(0, train_steps - 1, steps).round()[::-1]
    elif spacing == "leading":
        times = np.arange(steps)[::-1] * (train_steps // steps)
    else:
        times = np.round(np.arange(train_steps, 0, -train_steps / steps)) - 1
    return tuple(int(time) for time in times)
