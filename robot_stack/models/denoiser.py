"""What a noise process and a sampler ask of a network that removes noise from action chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Denoiser(Protocol):
    """A network ``(noisy chunk, time, condition) -> prediction`` whose conditioning can be computed apart.

    ``forward`` must equal::

        modulation = network.modulation(network.encode_times(time), network.encode_cond(cond))
        prediction = network.forward_modulated(noisy, modulation)

    Training calls ``forward``. A sampler encodes the times of all its steps once (they depend on weights only), the
    condition once per chunk, and in its loop runs nothing but ``forward_modulated``.
    """

    def __call__(self, x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        """Predict from a noisy chunk ``x`` (B, T, A), network times ``time`` (B,) and conditions ``cond`` (B, C)."""
        ...

    def encode_times(self, times: Tensor) -> Tensor:
        """Encode network times (S,) as (S, E); depends on weights and times only."""
        ...

    def encode_cond(self, cond: Tensor) -> Tensor:
        """Encode conditions (B, C) as (B, F); depends on weights and conditions only."""
        ...

    def modulation(self, encoded_times: Tensor, encoded_cond: Tensor) -> Tensor:
        """Join (..., E) and (..., F), broadcast against each other, to modulations (..., M)."""
        ...

    def forward_modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Predict (B, T, A) from a noisy chunk ``x`` (B, T, A) and modulations (B, M)."""
        ...


class FunctionDenoiser:
    """Lets a plain function ``f(x, time, cond)`` stand where a :class:`Denoiser` is asked for.

    Args:
        function: maps a noisy chunk (B, T, A), times (B,) and conditions (B, C) to a prediction (B, T, A).
    """

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.function = function

    def __call__(self, x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        """Call the function itself."""
        return self.function(x, time, cond)

    def encode_times(self, times: Tensor) -> Tensor:
        """Times (S,) as (S, 1)."""
        return times.unsqueeze(-1)

    def encode_cond(self, cond: Tensor) -> Tensor:
        """Conditions (B, C) unchanged."""
        return cond

    def modulation(self, encoded_times: Tensor, encoded_cond: Tensor) -> Tensor:
        """Time and condition side by side: (..., 1 + C)."""
        lead = torch.broadcast_shapes(encoded_times.shape[:-1], encoded_cond.shape[:-1])
        parts = (encoded_times.expand(*lead, 1), encoded_cond.expand(*lead, encoded_cond.shape[-1]))
        return torch.cat(parts, dim=-1)

    def forward_modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Call the function with the time and condition found in ``modulation`` (B, 1 + C)."""
        return self.function(x, modulation[:, 0], modulation[:, 1:])
