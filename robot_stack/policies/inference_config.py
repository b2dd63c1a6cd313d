"""How a trained policy is run, as plain data: nothing here changes what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class InferenceConfig:
    """Numerics of inference."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Of activations in the networks (autocast); normalisers and samplers stay in float32."""

    compile: bool = False
    """Compile the networks with ``torch.compile``: pays in long runs, costs a minute at the first decisions."""


@dataclass(frozen=True)
class EnsembleConfig:
    """Temporal ensembling of ACT (Zhao et al., 2023, arXiv 2304.13705): decide at every step, average what was planned.

    The action of a step is the mean of all chunks that cover it, weighted ``exp(-decay * i)`` where ``i`` counts the
    chunks from the oldest (0) to the newest.
    """

    decay: float = 0.01
    """0 weighs all alike; above it the oldest plan weighs most, below it the newest."""


@dataclass(frozen=True)
class WarmStartConfig:
    """Start sampling from the last chunk, shifted to now, instead of pure noise, as in RTI-DP (arXiv 2508.05396)."""

    first_step: int = 5
    """So many of the sampler's steps are skipped once there is a last chunk."""

    def __post_init__(self) -> None:
        if self.first_step < 0:
            raise ConfigError("a warm start cannot skip a negative number of steps", got=self.first_step)


@dataclass(frozen=True)
class DriverConfig:
    """How chunks become motion."""

    n_action_steps: int | None = None
    """Steps executed of each chunk; ``None`` takes the policy's own."""

    ensemble: EnsembleConfig | None = None
    """Temporal ensembling; then every chunk is replanned after one step."""

    warm_start: WarmStartConfig | None = None
    """Warm starts of the sampler; ``None`` starts each chunk from noise."""

    source: str | None = None
    """Whose normaliser to use, for a policy with one per dataset; may stay ``None`` if there is only one."""

    def __post_init__(self) -> None:
        if self.ensemble is not None and self.n_action_steps not in (None, 1):
            raise ConfigError(
                "temporal ensembling decides at every step",
                got=f"n_action_steps={self.n_action_steps}",
                expected="n_action_steps left out, or no ensemble",
            )
