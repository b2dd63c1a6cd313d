"""The contract of samplers, warm starts, and samplers tied to one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError
from robot_stack.models.denoiser import Denoiser
from robot_stack.models.random_draws import Generators
from robot_stack.models.sampling.guidance import Guidance

MODULATION_ROWS = 256
"""Most rows (steps x batch) of modulation computed ahead in one product; above it they are computed step by step,
because rows are long (14,336 numbers in Diffusion Policy's U-Net) and large batches gain nothing from joining steps."""


class WarmStart(NamedTuple):
    """Start part of the way from a chunk that is already nearly right.

    Args:
        chunk: (B, T, A) normalised chunk, for example the rest of the previous one, shifted to now.
        first_step: index of the first sampler step to run; the steps before it are skipped and the chunk is given
            the noise level of this one. 0 skips nothing.
    """

    chunk: Tensor
    first_step: int


class Sampler(Protocol):
    """Turns noise and a condition into an action chunk by calling a network."""

    @property
    def network_times(self) -> tuple[float, ...]:
        """Times of all network evaluations, in order, as the network is told them."""
        ...

    def __call__(
        self,
        network: Denoiser,
        noise: Tensor,
        cond: Tensor,
        *,
        generator: Generators | None = None,
        warm_start: WarmStart | None = None,
        encoded_times: Tensor | None = None,
        guidance: Guidance | None = None,
    ) -> Tensor:
        """Sample action chunks.

        Args:
            network: predicts what the noise process of this sampler trains.
            noise: (B, T, A) standard normal; its type is the type of the result.
            cond: (B, C) conditions.
            generator: source of the noise that stochastic samplers add on the way, one for all rows or one for each;
                ``None`` for torch's default.
            warm_start: where to start instead of pure noise.
            encoded_times: ``network.encode_times`` of :attr:`network_times`, if already known.
            guidance: pull towards a chunk that is being executed; costs a backward pass for every evaluation, and
                needs tensors that were not made in inference mode.

        Returns:
            (B, T, A) normalised action chunks.
        """
        ...


@dataclass(frozen=True)
class PreparedSampler:
    """A sampler with a network whose weights no longer change: all times are encoded once, here.

    Build it with :func:`prepare`, and anew after the weights changed.
    """

    sampler: Sampler
    network: Denoiser
    encoded_times: Tensor

    def __call__(
        self,
        noise: Tensor,
        cond: Tensor,
        *,
        generator: Generators | None = None,
        warm_start: WarmStart | None = None,
        guidance: Guidance | None = None,
    ) -> Tensor:
        """Sample chunks (B, T, A) as :class:`Sampler` does."""
        return self.sampler(
            self.network,
            noise,
            cond,
            generator=generator,
            warm_start=warm_start,
            encoded_times=self.encoded_times,
            guidance=guidance,
        )


def prepare(
    sampler: Sampler,
    network: Denoiser,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PreparedSampler:
    """Tie a sampler to a network with final weights.

    Args:
        sampler: any sampler.
        network: in evaluation mode, on ``device``.
        device: where sampling will happen.
        dtype: type of the noise that sampling will start from.
    """
    with torch.no_grad():
        encoded = network.encode_times(times_tensor(sampler.network_times, device, dtype))
    return PreparedSampler(sampler, network, encoded)


def times_tensor(times: tuple[float, ...], device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Network times as a tensor (S,): float64 for float64 chunks, else float32, since half precision merges times."""
    return torch.tensor(times, dtype=torch.float64 if dtype == torch.float64 else torch.float32, device=device)


class Modulations:
    """The modulation of every network evaluation of a sampler, for one batch of conditions.

    Args:
        network: whose conditioning to compute.
        encoded_times: (S, E), see :meth:`Denoiser.encode_times`.
        cond: (B, C).
    """

    def __init__(self, network: Denoiser, encoded_times: Tensor, cond: Tensor) -> None:
        self._network = network
        self._times = encoded_times
        self._cond = network.encode_cond(cond)
        self._ready: tuple[Tensor, ...] | None = None
        if encoded_times.shape[0] * cond.shape[0] <= MODULATION_ROWS:
            joined = network.modulation(encoded_times.unsqueeze(1), self._cond.unsqueeze(0))
            self._ready = joined.unbind(0)

    def __getitem__(self, step: int) -> Tensor:
        """Modulation (B, M) of evaluation number ``step``."""
        if self._ready is not None:
            return self._ready[step]
        return self._network.modulation(self._times[step : step + 1], self._cond)


def check_warm_start(warm_start: WarmStart, steps: int, noise: Tensor) -> None:
    """Refuse a warm start that does not fit the sampler or the noise.

    Raises:
        ConfigError: if the step is out of range or the shapes differ.
    """
    if not 0 <= warm_start.first_step < steps:
        raise ConfigError(
            "a warm start begins at a step that the sampler does not have",
            got=warm_start.first_step,
            expected=f"0 to {steps - 1}",
        )
    if warm_start.chunk.shape != noise.shape:
        raise ConfigError(
            "the chunk of a warm start has another shape than the noise",
            got=tuple(warm_start.chunk.shape),
            expected=tuple(noise.shape),
        )
