"""Losses over action chunks in which some steps are padding."""

from __future__ import annotations

import torch
from torch import Tensor

from robot_stack.models.denoiser import Denoiser
from robot_stack.models.noise_process import NoiseProcess
from robot_stack.models.random_draws import draw_normal_like


def masked_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid steps.

    Args:
        values: (B, T, A).
        valid: (B, T) booleans, true for real steps and false for padding; ``None`` for all real.

    Returns:
        A scalar; 0 if no step is valid. No synchronisation with the host.
    """
    if valid is None:
        return values.mean()
    weight = valid.to(values.dtype)
    total = torch.einsum("bta,bt->", values, weight)
    return total / (weight.sum() * values.shape[-1]).clamp_min(1.0)


def masked_mse(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean squared error (B, T, A) over valid steps (B, T), computed in at least float32."""
    difference = prediction.to(target.dtype) - target
    return masked_mean(difference * difference, valid)


def masked_l1(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean absolute error (B, T, A) over valid steps (B, T)."""
    return masked_mean((prediction.to(target.dtype) - target).abs(), valid)


def denoising_loss(
    network: Denoiser,
    process: NoiseProcess,
    actions: Tensor,
    cond: Tensor,
    generator: torch.Generator | None,
    valid: Tensor | None = None,
) -> Tensor:
    """One step of denoising training: draw times and noise, corrupt, predict, compare.

    Args:
        network: predicts the target of ``process``.
        process: diffusion or flow matching.
        actions: clean normalised chunks (B, T, A).
        cond: conditions (B, C).
        generator: source of times and noise; ``None`` for torch's default.
        valid: (B, T) booleans, false for padding; ``None`` for all real. Diffusion Policy trains on padding too.

    Returns:
        The scalar loss.
    """
    times = process.sample_times(actions.shape[0], generator=generator, device=actions.device)
    noise = draw_normal_like(actions, generator)
    noised = process.corrupt(actions, noise, times)
    return masked_mse(network(noised.noisy, noised.network_time, cond), noised.target, valid)
