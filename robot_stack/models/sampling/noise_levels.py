"""What a discrete diffusion sampler must know of the training it samples from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Prediction = Literal["epsilon", "sample", "v_prediction"]


@dataclass(frozen=True)
class NoiseLevels:
    """Noise levels of training, what the network predicts, and clipping.

    A chunk at time t is ``sqrt(alpha_bar) * clean + sqrt(1 - alpha_bar) * noise``.

    Args:
        alpha_bars: of every training time.
        prediction: the network answers with the noise (``epsilon``), the clean chunk (``sample``) or
            ``sqrt(alpha_bar) * noise - sqrt(1 - alpha_bar) * clean`` (``v_prediction``, arXiv 2202.00512).
        clip: predicted clean chunks are clipped to [-clip, clip]; ``None`` for no clipping.
    """

    alpha_bars: tuple[float, ...]
    prediction: Prediction
    clip: float | None

    @property
    def train_steps(self) -> int:
        """Number of training times."""
        return len(self.alpha_bars)

    def alpha_bar(self, time: int) -> float:
        """Noise level at ``time``; below 0 is the clean chunk."""
        return self.alpha_bars[time] if time >= 0 else 1.0

    def clean_coefficients(self, time: int) -> tuple[float, float]:
        """Factors (of the noisy chunk, of the network's output) that give the clean chunk at ``time``."""
        signal, noise = math.sqrt(self.alpha_bars[time]), math.sqrt(1 - self.alpha_bars[time])
        if self.prediction == "epsilon":
            return 1 / signal, -noise / signal
        if self.prediction == "sample":
            return 0.0, 1.0
        return signal, -noise

    def noise_coefficients(self, time: int) -> tuple[float, float]:
        """Factors (of the noisy chunk, of the network's output) that give the noise at ``time``."""
        signal, noise = math.sqrt(self.alpha_bars[time]), math.sqrt(1 - self.alpha_bars[time])
        if self.prediction == "epsilon":
            return 0.0, 1.0
        if self.prediction == "sample":
            return 1 / noise, -signal / noise
        return noise, signal
