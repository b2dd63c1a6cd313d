"""The sampling loop shared by DDIM, DDPM and flow Euler: each step is one row of numbers known in advance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robot_stack.models.denoiser import Denoiser
from robot_stack.models.random_draws import Generators, draw_normal_like
from robot_stack.models.sampling.guidance import Guidance, Level, check_guidance, guided_output
from robot_stack.models.sampling.sampler import Modulations, WarmStart, check_warm_start, times_tensor


@dataclass(frozen=True)
class LinearStep:
    """One sampling step, linear in everything but the clipping of the predicted clean chunk.

    With the current chunk ``x``, the network's output ``out`` and standard normal ``z``::

        clean = clip(clean_x * x + clean_out * out)
        x    <- next_clean * clean + next_x * x + next_out * out + next_noise * z

    Args:
        network_time: time as the network is told it.
        signal: factor of the clean chunk in a chunk with the noise level of this step (for warm starts).
        noise: factor of the noise in such a chunk.
        clean_x: see above.
        clean_out: see above.
        next_clean: see above.
        next_x: see above.
        next_out: see above.
        next_noise: see above.
    """

    network_time: float
    signal: float
    noise: float
    clean_x: float
    clean_out: float
    next_clean: float
    next_x: float
    next_out: float
    next_noise: float = 0.0

    @property
    def level(self) -> Level:
        """What guidance has to know of the step."""
        return Level(self.signal, self.noise, self.clean_x, self.clean_out, self.noise / self.clean_out)

    def without_clipping(self) -> LinearStep:
        """The same step with ``clean`` put into the second formula: two products instead of five."""
        return LinearStep(
            network_time=self.network_time,
            signal=self.signal,
            noise=self.noise,
            clean_x=0.0,
            clean_out=0.0,
            next_clean=0.0,
            next_x=self.next_x + self.next_clean * self.clean_x,
            next_out=self.next_out + self.next_clean * self.clean_out,
            next_noise=self.next_noise,
        )


class StepTableSampler:
    """Runs a table of :class:`LinearStep`. A :class:`Sampler`.

    The numbers are Python floats: nothing moves between devices, nothing depends on data, and torch.compile sees
    constants.

    Args:
        steps: from the noisiest to the cleanest.
        clip: predicted clean chunks are clipped to [-clip, clip]; ``None`` for no clipping.
    """

    def __init__(self, steps: tuple[LinearStep, ...], clip: float | None) -> None:
        self.clip = clip
        self.steps = steps if clip is not None else tuple(step.without_clipping() for step in steps)
        self.levels = tuple(step.level for step in steps)

    @property
    def network_times(self) -> tuple[float, ...]:
        """Time of each step as the network is told it."""
        return tuple(step.network_time for step in self.steps)

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
            check_warm_start(warm_start, len(self.steps), noise)
            first = warm_start.first_step
            x = self.steps[first].signal * warm_start.chunk + self.steps[first].noise * noise
        if guidance is not None:
            check_guidance(guidance, noise)
        modulations = Modulations(network, encoded_times[first:], cond)
        for index, step in enumerate(self.steps[first:]):
            if guidance is None:
                out = network.forward_modulated(x, modulations[index]).to(x.dtype)
            else:
                level = self.levels[first + index]
                out = guided_output(network, x, modulations[index], guidance, level, self.clip)
            x = self._advance(step, x, out, generator)
        return x

    def _advance(self, step: LinearStep, x: Tensor, out: Tensor, generator: Generators | None) -> Tensor:
        following = torch.add(step.next_x * x, out, alpha=step.next_out)
        if self.clip is not None:
            clean = torch.add(step.clean_x * x, out, alpha=step.clean_out).clamp(-self.clip, self.clip)
            following = torch.add(following, clean, alpha=step.next_clean)
        if step.next_noise > 0.0:
            following = torch.add(following, draw_normal_like(x, generator), alpha=step.next_noise)
        return following
