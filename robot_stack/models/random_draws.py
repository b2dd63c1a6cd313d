"""Random numbers from a passed generator, wherever it lives.

A generator on the CPU gives the same numbers whatever device they are used on; one on the GPU saves the copy.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw_uniform(
    shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device | str = "cpu"
) -> Tensor:
    """Uniform numbers in [0, 1), float32, on ``device``; ``None`` draws from torch's default generator there."""
    source = device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=source).to(device, non_blocking=True)


def draw_integers(
    high: int, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device | str = "cpu"
) -> Tensor:
    """Integers from 0 to ``high - 1``, int64, on ``device``."""
    source = device if generator is None else generator.device
    return torch.randint(high, shape, generator=generator, device=source).to(device, non_blocking=True)


def draw_normal_like(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers with the shape, type and device of ``like``."""
    source = like.device if generator is None else generator.device
    noise = torch.randn(like.shape, generator=generator, device=source, dtype=like.dtype)
    return noise.to(like.device, non_blocking=True)
