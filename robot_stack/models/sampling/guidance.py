"""Guidance of a sampler towards a chunk that is being executed: inpainting for real-time chunking.

Black, Galliker, Levine, "Real-Time Execution of Action Chunking Flow Policies" (2025, arXiv 2506.07339), which takes
pseudoinverse guidance (Song et al., "Pseudoinverse-Guided Diffusion Models for Inverse Problems", ICLR 2023; for flows
Pokle et al., arXiv 2310.04432). At a noise level with ``x = signal * clean + noise * z`` the network's guess of the
clean chunk is moved by ``noise * w * g`` with::

    g = J^T (weights * (chunk - guess)),   J = d guess / d x
    w = min(max_weight, noise / (signal * r^2)),   r^2 = noise^2 / (signal^2 + noise^2)

which for flow matching is the paper's equation 2 to the letter (there ``tau = signal = 1 - noise``), and holds for any
kind of prediction of a diffusion process because it is written on the guess.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError
from robot_stack.models.denoiser import Denoiser


class Guidance(NamedTuple):
    """Where a sampled chunk is pulled.

    Args:
        chunk: (B, T, A) normalised actions.
        weights: (B, T), from 0 (free) to 1 (as in ``chunk``).
        max_weight: most that one step pulls.
    """

    chunk: Tensor
    weights: Tensor
    max_weight: float = 5.0


class Level(NamedTuple):
    """One network evaluation of a sampler.

    Args:
        signal: factor of the clean chunk in a chunk of this noise level.
        noise: factor of the noise in it.
        clean_x: the guess of the clean chunk is ``clean_x * x + clean_out * out``.
        clean_out: see above.
        gain: change of the network's output that moves the guess by ``noise``: ``noise / clean_out``.
    """

    signal: float
    noise: float
    clean_x: float
    clean_out: float
    gain: float


def guided_output(
    network: Denoiser, x: Tensor, modulation: Tensor, guidance: Guidance, level: Level, clip: float | None = None
) -> Tensor:
    """The network's output, moved so that the guess of the clean chunk is the guided one.

    Args:
        network: the denoiser.
        x: (B, T, A) noisy chunk.
        modulation: (B, M) of this evaluation.
        guidance: where to.
        level: of this evaluation.
        clip: the sampler clips guesses to [-clip, clip]; the error is taken from the clipped guess.

    Returns:
        (B, T, A), without a gradient.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        out = network.forward_modulated(leaf, modulation).to(x.dtype)
        guess = level.clean_x * leaf + level.clean_out * out
        found = guess.detach() if clip is None else guess.detach().clamp(-clip, clip)
        error = guidance.weights.unsqueeze(-1) * (guidance.chunk - found)
        (pull,) = torch.autograd.grad(guess, leaf, grad_outputs=error)
    return torch.add(out.detach(), pull, alpha=level.gain * guidance_weight(level, guidance.max_weight))


def guidance_weight(level: Level, max_weight: float) -> float:
    """The weight ``w`` of a noise level."""
    product = level.signal * level.noise
    raw = (level.signal**2 + level.noise**2) / product if product > 0.0 else math.inf
    return min(max_weight, raw)


def check_guidance(guidance: Guidance, noise: Tensor) -> None:
    """Refuse guidance that does not fit the noise.

    Raises:
        ConfigError: if a shape or the greatest weight is wrong.
    """
    if guidance.chunk.shape != noise.shape or guidance.weights.shape != noise.shape[:2]:
        raise ConfigError(
            "guidance has another shape than the noise",
            got=(tuple(guidance.chunk.shape), tuple(guidance.weights.shape)),
            expected=(tuple(noise.shape), tuple(noise.shape[:2])),
        )
    if not guidance.max_weight > 0.0:
        raise ConfigError("guidance needs a greatest weight above zero", got=guidance.max_weight)
