"""Diffusion policy: a chunk of actions is sampled from noise, conditioned on the last observations.

Chi et al., "Diffusion Policy" (RSS 2023, arXiv 2303.04137); with the transformer, text vectors and normalisers per
source it is the policy of TRI's Large Behavior Models study (arXiv 2507.05331), and with a flow process a flow policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.core.embodiment import Embodiment
from robot_stack.models.losses import denoising_loss
from robot_stack.models.noise_process import NoiseProcess
from robot_stack.models.random_draws import Generators, draw_normal_like
from robot_stack.models.sampling.guidance import Guidance
from robot_stack.models.sampling.sampler import WarmStart, times_tensor
from robot_stack.policies.chunks import action_table, target_actions, valid_steps
from robot_stack.policies.config import DiffusionPolicyConfig
from robot_stack.policies.encoder import ObservationEncoder
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.networks import make_denoiser, make_process, make_sampler
from robot_stack.policies.normalizers import PolicyNormalizers
from robot_stack.policies.policy import Continuing, Previous


class DiffusionPolicy(nn.Module):
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
        config: DiffusionPolicyConfig,
        embodiment: Embodiment,
        normalizers: PolicyNormalizers,
        tasks: Sequence[str] = (),
        task_vectors: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.config, self.embodiment, self.normalizers, self.tasks = config, embodiment, normalizers, tuple(tasks)
        self.encoder = ObservationEncoder(config, embodiment, normalizers, self.tasks, task_vectors)
        self.action_normalizer = action_table(normalizers, embodiment.action_size, config.horizon)
        self.network: Any = make_denoiser(config.network, embodiment.action_size, self.encoder.cond_dim, config.horizon)
        self.sampler = make_sampler(config.process)
        self._times: tuple[object, Tensor] | None = None

    @cached_property
    def process(self) -> NoiseProcess:
        """How noise is added in training; made when training asks for it, so that a bundle acts without diffusers."""
        return make_process(self.config.process)

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
        """It samples."""
        return True

    def instruction_entries(self, texts: Sequence[str], embedder: TextEmbedder | None = None) -> dict[str, Tensor]:
        """Batch entries of instructions."""
        language = self.encoder.language
        return {} if language is None else language.entries(texts, embedder)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator | None) -> Tensor:
        """Error in predicting what the noise process added, a scalar."""
        actions = target_actions(self.action_normalizer, batch, self.horizon)
        valid = valid_steps(batch, self.config.mask_padding)
        cond = self.encoder(batch, generator)
        return denoising_loss(self.network, self.process, actions, cond, generator, valid)

    def compile_networks(self) -> None:
        """Compile the networks for sampling with ``torch.compile``; results change by rounding only."""
        self.network.forward_modulated = torch.compile(self.network.forward_modulated)
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
        """Sample actions ``(B, horizon, A)`` in physical units."""
        cond = self.encoder(batch)
        if noise is None:
            like = cond.new_empty(cond.shape[0], self.horizon, self.embodiment.action_size)
            noise = draw_normal_like(like, generator)
        warm_start = None
        if previous is not None:
            warm_start = WarmStart(self.action_normalizer.normalize(previous.actions, batch), previous.first_step)
        guidance = None
        if continuing is not None:
            target = self.action_normalizer.normalize(continuing.actions, batch)
            guidance = Guidance(target, continuing.weights, continuing.max_weight)
        chunk = self.sampler(
            self.network,
            noise,
            cond,
            generator=generator,
            warm_start=warm_start,
            encoded_times=self._encoded_times(noise),
            guidance=guidance,
        )
        return self.action_normalizer.denormalize(chunk, batch)

    def _encoded_times(self, noise: Tensor) -> Tensor:
        """The sampler's times as the network encodes them; kept until a weight changes."""
        key = (noise.device, [p._version for p in self.network.parameters()])
        if self._times is None or self._times[0] != key:
            with torch.autocast(noise.device.type, enabled=False), torch.inference_mode(False), torch.no_grad():
                times = times_tensor(self.sampler.network_times, noise.device, noise.dtype)
                self._times = (key, self.network.encode_times(times))
        return self._times[1]
