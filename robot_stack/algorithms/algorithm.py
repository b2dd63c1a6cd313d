"""The contract of whatever learns: the one training loop drives every algorithm through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor, nn

Batch: TypeAlias = dict[str, Tensor]
"""A training batch on the algorithm's device; keys and shapes are in ARCHITECTURE.md under "Training batches"."""

Metrics: TypeAlias = dict[str, Tensor]
"""Scalars () that stay on the device; the loop fetches them once per log interval."""

HALTED = "halted_at"
"""The metric that names the step at which an update was not finite; 0 while all is well."""


@dataclass
class AlgorithmState:
    """All that an algorithm needs to go on, as safetensors and JSON can hold it."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Weights, moments, averages: flat, by slash-separated names."""

    plain: dict[str, Any] = field(default_factory=dict)
    """Counters and the like: JSON values."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under ``prefix/``, without the prefix."""
        return {k[len(prefix) + 1 :]: v for k, v in self.tensors.items() if k.startswith(f"{prefix}/")}

    def add(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Put ``tensors`` under ``prefix/``."""
        self.tensors.update({f"{prefix}/{k}": v for k, v in tensors.items()})


@runtime_checkable
class Algorithm(Protocol):
    """Learns from batches, one update at a time.

    ``update`` neither waits for the device nor reads a number back from it. An update that meets a loss or gradient
    that is not finite changes nothing, nor does any later one, and the metric ``"halted_at"`` (:data:`HALTED`) says at
    which step it happened: the state is then bit for bit the one before that step.
    """

    @property
    def step(self) -> int:
        """Updates done."""
        ...

    def update(self, batch: Batch) -> Metrics:
        """Learn from one batch; return scalar tensors on the device."""
        ...

    def rewind(self, step: int) -> None:
        """Set the step counters back to ``step`` after updates were refused, so that they agree with the weights."""
        ...

    def state_dict(self) -> AlgorithmState:
        """Everything that later updates depend on; the tensors may alias live ones."""
        ...

    def load_state_dict(self, state: AlgorithmState) -> None:
        """Go on exactly where :meth:`state_dict` was taken.

        Raises:
            CheckpointError: if the state is of another algorithm or network.
        """
        ...

    def policy(self) -> nn.Module:
        """What to deploy, for example the averaged weights."""
        ...


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of all randomness of one update: it depends on the run's seed, the step and the rank, on nothing else.

    A run that was interrupted therefore draws the same noise as one that was not, with no generator state to keep.

    Args:
        seed: of the run.
        step: number of the update.
        rank: of the process.

    Returns:
        A seed below 2**32.
    """
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
