"""Samplers of flow matching: Euler, midpoint and Heun steps from noise (time 1) to data (time 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.models.denoiser import Denoiser
from robot_stack.models.random_draws import Generators
from robot_stack.models.sampling.guidance import Guidance, Level, check_guidance, guided_output
from robot_stack.models.sampling.sampler import Modulations, WarmStart, check_warm_start, times_tensor
from robot_stack.models.sampling.step_table import LinearStep, StepTableSampler

SecondOrder = Literal["midpoint", "heun"]


@dataclass(frozen=True)
class EulerConfig:
    """Euler steps of equal length. openpi uses 10.

    Args:
        steps: network evaluations.
    """

    steps: int = 10


@dataclass(frozen=True)
class SecondOrderConfig:
    """Second-order steps of equal length, two network evaluations each.

    Args:
        steps: number of steps; the network is called twice as often.
        method: ``midpoint`` or ``heun`` (trapezoidal).
    """

    steps: int = 5
    method: SecondOrder = "midpoint"


def euler_sampler(config: EulerConfig, time_scale: float) -> StepTableSampler:
    """Build an Euler sampler.

    Args:
        config: how to sample.
        time_scale: network time of process time 1.

    Raises:
        ConfigError: if the number of steps is not positive.
    """
    size = 1.0 / _positive(config.steps)
    times = tuple(1.0 - index * size for index in range(config.steps))
    steps = tuple(
        LinearStep(
            network_time=time * time_scale,
            signal=1.0 - time,
            noise=time,
            clean_x=1.0,
            clean_out=-time,
            next_clean=0.0,
            next_x=1.0,
            next_out=-size,
        )
        for time in times
    )
    return StepTableSampler(steps, clip=None)


class SecondOrderSampler:
    """Midpoint or Heun integration of the learned velocity. A :class:`Sampler`.

    Args:
        config: how to sample.
        time_scale: network time of process time 1.

    Raises:
        ConfigError: if the number of steps is not positive or the method unknown.
    """

    def __init__(self, config: SecondOrderConfig, time_scale: float) -> None:
        require_name("flow integration method", config.method, get_args(SecondOrder))
        self.size = 1.0 / _positive(config.steps)
        self.method = config.method
        self.start_times = tuple(1.0 - index * self.size for index in range(config.steps))
        offset = self.size / 2 if config.method == "midpoint" else self.size
        self.network_times = tuple(
            time * time_scale for start in self.start_times for time in (start, max(start - offset, 0.0))
        )

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
        """Sample chunks (B, T, A); see :class:`robot_stack.models.sampling.sampler.Sampler`."""
        if encoded_times is None:
            encoded_times = network.encode_times(times_tensor(self.network_times, noise.device, noise.dtype))
        x, first = noise, 0
        if warm_start is not None:
            check_warm_start(warm_start, len(self.start_times), noise)
            first = warm_start.first_step
            time = self.start_times[first]
            x = (1.0 - time) * warm_start.chunk + time * noise
        if guidance is not None:
            check_guidance(guidance, noise)
        modulations = Modulations(network, encoded_times[2 * first :], cond)
        for index in range(len(self.start_times) - first):
            time = self.start_times[first + index]
            ahead = max(time - (self.size / 2 if self.method == "midpoint" else self.size), 0.0)
            first_velocity = _Velocity(network, modulations[2 * index], time, guidance)
            second_velocity = _Velocity(network, modulations[2 * index + 1], ahead, guidance)
            x = self._advance(x, first_velocity, second_velocity)
        return x

    def _advance(self, x: Tensor, first: _Velocity, second: _Velocity) -> Tensor:
        velocity = first(x)
        if self.method == "midpoint":
            middle = torch.add(x, velocity, alpha=-self.size / 2)
            return torch.add(x, second(middle), alpha=-self.size)
        ahead = torch.add(x, velocity, alpha=-self.size)
        return torch.add(x, velocity + second(ahead), alpha=-self.size / 2)


class _Velocity(NamedTuple):
    """One evaluation of the learned velocity, guided or not."""

    network: Denoiser
    modulation: Tensor
    time: float
    guidance: Guidance | None

    def __call__(self, x: Tensor) -> Tensor:
        if self.guidance is None:
            return self.network.forward_modulated(x, self.modulation).to(x.dtype)
        level = Level(1.0 - self.time, self.time, 1.0, -self.time, -1.0)
        return guided_output(self.network, x, self.modulation, self.guidance, level)


def _positive(steps: int) -> int:
    if steps < 1:
        raise ConfigError("a flow sampler needs at least one step", got=steps)
    return steps
