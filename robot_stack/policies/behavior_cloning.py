"""Behaviour cloning: one pass through a network gives a chunk of actions. The plain baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.core.embodiment import Embodiment
from robot_stack.models.losses import masked_l1, masked_mse
from robot_stack.models.random_draws import Generators
from robot_stack.policies.chunks import action_table, target_actions, valid_steps
from robot_stack.policies.config import BehaviorCloningConfig
from robot_stack.policies.encoder import ObservationEncoder
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.networks import make_chunk_mlp
from robot_stack.policies.normalizers import PolicyNormalizers
from robot_stack.policies.policy import Continuing, Previous


class BehaviorCloningPolicy(nn.Module):
    """See :class:`robot_stack.policies.policy.Policy` for the methods.

    Args:
        config: plain data.
        embodiment: the robot.
        normalizers: fitted to the training data.
        tasks: instructions of the training tasks, by ``task_index``.
        task_vectors: of the text encoder for ``tasks``, shape ``(len(tasks), text_size)``, with text vectors only.
    """

    def __init__(
        self,
        config: BehaviorCloningConfig,
        embodiment: Embodiment,
        normalizers: PolicyNormalizers,
        tasks: Sequence[str] = (),
        task_vectors: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.config, self.embodiment, self.normalizers, self.tasks = config, embodiment, normalizers, tuple(tasks)
        self.encoder = ObservationEncoder(config, embodiment, normalizers, self.tasks, task_vectors)
        self.action_normalizer = action_table(normalizers, embodiment.action_size, config.horizon)
        self.network = make_chunk_mlp(config.network, embodiment.action_size, self.encoder.cond_dim, config.horizon)

    @property
    def n_obs_steps(self) -> int:
        """Observations it needs."""
        return self.config.inputs.n_obs_steps

    @property
    def horizon(self) -> int:
        """Steps of a chunk."""
        return self.config.horizon

    @property
    def n_action_steps(self) -> int:
        """Steps to execute before deciding again."""
        return self.config.n_action_steps

    @property
    def draws_noise(self) -> bool:
        """It answers the same to the same."""
        return False

    def instruction_entries(self, texts: Sequence[str], embedder: TextEmbedder | None = None) -> dict[str, Tensor]:
        """Batch entries of instructions."""
        language = self.encoder.language
        return {} if language is None else language.entries(texts, embedder)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator | None) -> Tensor:
        """Error of the normalised actions, a scalar; ``generator`` gives image augmentation."""
        actions = target_actions(self.action_normalizer, batch, self.horizon)
        valid = valid_steps(batch, self.config.mask_padding)
        error = masked_mse if self.config.loss == "mse" else masked_l1
        return error(self.network(self.encoder(batch, generator)), actions, valid)

    def compile_networks(self) -> None:
        """Compile the networks for sampling with ``torch.compile``; results change by rounding only."""
        self.network.compile()
        if self.encoder.vision is not None:
            self.encoder.vision.compile()

    @torch.no_grad()
    def sample(
        self,
        batch: Mapping[str, Tensor],
        *,
        noise: Tensor | None = None,
        generator: Generators | None = None,
        previous: Previous | None = None,
        continuing: Continuing | None = None,
    ) -> Tensor:
        """Actions ``(B, horizon, A)`` in physical units; nothing but ``batch`` matters."""
        return self.action_normalizer.denormalize(self.network(self.encoder(batch)), batch)
