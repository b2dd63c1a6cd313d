"""Random numbers from a passed generator, wherever it lives.

A generator on the CPU gives the same numbers whatever device they are used on; one on the GPU saves the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from robot_stack.core.errors import ShapeError

Generators: TypeAlias = torch.Generator | Sequence[torch.Generator]
"""One source of noise for a batch, or one for each row of it, so that a row does not depend on the others."""


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


def draw_normal_like(like: Tensor, generator: Generators | None) -> Tensor:
    """Standard normal numbers with the shape, type and device of ``like``.

    Args:
        like: (B, ...).
        generator: one for all; or B of them, row ``b`` drawn from the one at ``b``; ``None`` for torch's default.

    Raises:
        ShapeError: if there are generators for another number of rows.
    """
    if generator is None or isinstance(generator, torch.Generator):
        source = like.device if generator is None else generator.device
        noise = torch.randn(like.shape, generator=generator, device=source, dtype=like.dtype)
        return noise.to(like.device, non_blocking=True)
    if len(generator) != like.shape[0]:
        raise ShapeError("each row needs a generator of its own", got=len(generator), expected=like.shape[0])
    rows = [torch.randn(like.shape[1:], generator=g, device=g.device, dtype=like.dtype) for g in generator]
    return torch.stack(rows).to(like.device, non_blocking=True)
