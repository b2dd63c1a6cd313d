"""The contract of a policy: observations in, chunks of actions out, in physical units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from robot_stack.core.embodiment import Embodiment
from robot_stack.models.random_draws import Generators
from robot_stack.policies.config import PolicyConfig
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.normalizers import PolicyNormalizers

Batch: TypeAlias = Mapping[str, Tensor]
"""Tensors on the policy's device; keys and shapes are in ARCHITECTURE.md under "Training batches"."""


class Previous(NamedTuple):
    """What a policy planned before, to start sampling from."""

    actions: Tensor
    """Physical units, shape ``(B, horizon, A)``, shifted to now."""

    first_step: int
    """Index of the first sampler step to run."""


class Continuing(NamedTuple):
    """What is being executed while the next chunk is sampled, which it is to continue: real-time chunking."""

    actions: Tensor
    """Physical units, shape ``(B, horizon, A)``; step ``k`` belongs to the time of observation ``k``."""

    weights: Tensor
    """How firmly each step is held, from 0 to 1, shape ``(B, horizon)``."""

    max_weight: float
    """Most that one sampler step pulls; see :mod:`robot_stack.models.sampling.guidance`."""


@runtime_checkable
class Policy(Protocol):
    """Maps the last observations to a chunk of actions. Implementations are ``nn.Module``s.

    Step ``k`` of a chunk belongs to the time of observation ``k``: the oldest observation comes with step 0, the
    present one with step ``n_obs_steps - 1``, which is the first that can be executed.
    """

    @property
    def config(self) -> PolicyConfig:
        """Plain data; decides kind and sizes."""
        ...

    @property
    def embodiment(self) -> Embodiment:
        """The robot it was trained for."""
        ...

    @property
    def normalizers(self) -> PolicyNormalizers:
        """Between physical units and the network."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]:
        """Instructions of the training tasks, by ``task_index``; may be empty without language."""
        ...

    @property
    def n_obs_steps(self) -> int:
        """How many of the last observations it needs."""
        ...

    @property
    def horizon(self) -> int:
        """Steps of a chunk."""
        ...

    @property
    def n_action_steps(self) -> int:
        """Steps it is meant to execute before it decides again."""
        ...

    @property
    def draws_noise(self) -> bool:
        """Whether equal observations may get different actions."""
        ...

    def instruction_entries(self, texts: Sequence[str], embedder: TextEmbedder | None = None) -> dict[str, Tensor]:
        """Entries of a batch that tell the policy its instructions; empty for a policy without language.

        Args:
            texts: one instruction per row.
            embedder: for instructions that were not seen in training.

        Raises:
            UnknownNameError: if the policy does not know an instruction and cannot learn what it means.
        """
        ...

    def compile_networks(self) -> None:
        """Compile the networks for sampling with ``torch.compile``; results change by rounding only."""
        ...

    def loss(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """Scalar training loss of a batch; ``generator`` gives noise and image augmentation."""
        ...

    def sample(
        self,
        batch: Batch,
        *,
        noise: Tensor | None = None,
        generator: Generators | None = None,
        previous: Previous | None = None,
        continuing: Continuing | None = None,
    ) -> Tensor:
        """Actions for a batch of observations.

        Args:
            batch: the observation entries of a training batch.
            noise: ``(B, horizon, A)`` standard normal to start from; drawn from ``generator`` when not given.
            generator: source of noise; torch's default generator when not given.
            previous: start from there; ignored by policies that do not sample.
            continuing: what the chunk is to continue; ignored by policies that do not sample. Tensors must not have
                been made in inference mode then.

        Returns:
            ``(B, horizon, A)`` in physical units, float32, on the device.

        Raises:
            ShapeError: if an entry is missing or does not match the embodiment.
        """
        ...
