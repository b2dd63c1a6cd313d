"""The contract between noise processes (diffusion, flow matching), networks, training and samplers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from robot_stack.models.sampling.sampler import Sampler


class Noised(NamedTuple):
    """A corrupted batch and what the network should answer.

    Args:
        noisy: (B, T, A) chunks with noise; input of the network.
        network_time: (B,) the time as the network is told it.
        target: (B, T, A) what the network should predict.
    """

    noisy: Tensor
    network_time: Tensor
    target: Tensor


class NoiseProcess(Protocol):
    """How clean chunks are corrupted, what a network learns to predict, and how its predictions become chunks.

    In every process here time grows with noise: time 0 is (nearly) data, the largest time is (nearly) pure noise.
    """

    def sample_times(
        self, batch: int, *, generator: torch.Generator | None, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Draw process times (B,) for training."""
        ...

    def corrupt(self, clean: Tensor, noise: Tensor, times: Tensor) -> Noised:
        """Mix ``clean`` (B, T, A) with standard normal ``noise`` (B, T, A) at process times (B,)."""
        ...

    def sampler(self, steps: int) -> Sampler:
        """The deterministic sampler of this process with so many network evaluations (DDIM, Euler)."""
        ...
