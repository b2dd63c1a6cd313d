"""Flow matching with straight paths (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError
from robot_stack.models.noise_process import Noised
from robot_stack.models.random_draws import draw_uniform
from robot_stack.models.sampling.flow import EulerConfig, euler_sampler
from robot_stack.models.sampling.step_table import StepTableSampler


@dataclass(frozen=True)
class FlowConfig:
    """A flow-matching process.

    Time 0 is data and time 1 is noise, as in openpi: ``x_t = (1 - t) * data + t * noise``, and the network predicts
    the velocity ``noise - data``. (The papers count the other way.)

    Args:
        time_power: times are drawn as ``u ** (1 / time_power)`` with uniform u, which is Beta(time_power, 1): 1 is
            uniform, openpi's 1.5 puts more weight on noisy chunks.
        time_floor: smallest time drawn; the draws are squeezed into [time_floor, 1]. openpi uses 0.001.
        time_scale: the network is told ``time_scale * t``: the sinusoidal embedding is made for times up to hundreds.
    """

    time_power: float = 1.0
    time_floor: float = 0.0
    time_scale: float = 1000.0


class FlowMatching:
    """Straight paths between data and noise. A :class:`NoiseProcess`; process time lies in [0, 1].

    Args:
        config: the process.

    Raises:
        ConfigError: if a value is out of range.
    """

    def __init__(self, config: FlowConfig | None = None) -> None:
        self.config = config = config or FlowConfig()
        if config.time_power <= 0 or config.time_scale <= 0 or not 0 <= config.time_floor < 1:
            raise ConfigError(
                "a flow-matching process is out of range",
                got=config,
                expected="time_power > 0, time_scale > 0, 0 <= time_floor < 1",
            )

    def sample_times(
        self, batch: int, *, generator: torch.Generator | None, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Draw times (B,) in [time_floor, 1], float32."""
        draws = draw_uniform((batch,), generator, device)
        if self.config.time_power != 1.0:
            draws = draws ** (1.0 / self.config.time_power)
        return self.config.time_floor + (1.0 - self.config.time_floor) * draws

    def corrupt(self, clean: Tensor, noise: Tensor, times: Tensor) -> Noised:
        """Mix ``clean`` (B, T, A) with ``noise`` (B, T, A) at times (B,) in [0, 1]; the target is the velocity."""
        weight = times.to(clean.dtype).view(-1, *[1] * (clean.dim() - 1))
        return Noised(torch.lerp(clean, noise, weight), times * self.config.time_scale, noise - clean)

    def sampler(self, steps: int) -> StepTableSampler:
        """Euler with so many steps."""
        return euler_sampler(EulerConfig(steps=steps), self.config.time_scale)
