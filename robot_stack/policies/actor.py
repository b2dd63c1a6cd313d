"""Runs a policy: observations of robots in, NumPy chunks of actions out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, NonFiniteError
from robot_stack.core.observation import Observation
from robot_stack.models.random_draws import Generators
from robot_stack.policies.inference_config import InferenceConfig
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.latency import LatencyRecord
from robot_stack.policies.normalizer_table import SOURCE
from robot_stack.policies.observation_batch import observation_batch
from robot_stack.policies.policy import Continuing, Policy, Previous


class Actor:
    """A policy on its device, ready to decide. One copy to the device and one back per decision.

    Args:
        policy: an ``nn.Module``, on the device it is to run on; put in evaluation mode.
        config: numerics.
        source: whose normaliser to use; may stay ``None`` if the policy has only one.
        embedder: for instructions that the policy was not trained with.

    Raises:
        ConfigError: if the policy has several normalisers and no source was named.
    """

    def __init__(
        self,
        policy: Policy,
        config: InferenceConfig | None = None,
        *,
        source: str | None = None,
        embedder: TextEmbedder | None = None,
    ) -> None:
        if not isinstance(policy, nn.Module):
            raise ConfigError("an actor runs policies that are torch modules", got=type(policy).__name__)
        self.policy: Policy = policy
        self.module = policy.eval()
        self.config = config = config or InferenceConfig()
        self.embedder = embedder
        self.latency = LatencyRecord()
        """Of whole decisions, from NumPy to NumPy."""
        self._source = policy.normalizers.index(source)
        self._instructions: dict[str, dict[str, Tensor]] = {}
        if config.compile:
            policy.compile_networks()

    @property
    def device(self) -> torch.device:
        """Where the policy is."""
        return next(self.module.parameters()).device

    def learn_instruction(self, text: str) -> None:
        """Look up an instruction now, so that an unknown one is an error before anything moves.

        Raises:
            UnknownNameError: if the policy does not know it.
        """
        if text not in self._instructions:
            self._instructions[text] = self.policy.instruction_entries([text], self.embedder)

    def act_batch(
        self,
        histories: Sequence[Sequence[Observation]],
        instructions: Sequence[str],
        *,
        generators: Generators | None = None,
        previous: tuple[np.ndarray, int] | None = None,
        continuing: tuple[np.ndarray, np.ndarray, float] | None = None,
    ) -> np.ndarray:
        """Decide for several robots at once.

        Args:
            histories: for each robot its last observations, oldest first.
            instructions: for each what to do.
            generators: sources of noise, one for each robot.
            previous: chunks ``(B, horizon, A)`` to start from, shifted to now, and the first sampler step to run.
            continuing: chunks ``(B, horizon, A)`` that are carried out meanwhile, the weights ``(B, horizon)`` that
                hold the new ones to them, and the most that one sampler step pulls.

        Returns:
            Chunks ``(B, horizon, A)`` in physical units, float64; the first step belongs to the oldest observation.

        Raises:
            ShapeError: if an observation does not match the embodiment.
            NonFiniteError: if a state or a decided action is not finite.
            UnknownNameError: if the policy does not know an instruction.
        """
        started = time.perf_counter()
        if self.module.training:
            self.module.eval()
        batch = self._batch(histories, instructions)
        start = None
        if previous is not None:
            start = Previous(self._to_device(torch.from_numpy(previous[0]).float()), previous[1])
        running = None
        if continuing is not None:
            target, weights = (self._to_device(torch.from_numpy(array).float()) for array in continuing[:2])
            running = Continuing(target, weights, continuing[2])
        enabled = self.config.precision == "bfloat16"
        alone = torch.inference_mode() if running is None else torch.no_grad()  # guidance takes gradients of its own
        with alone, torch.autocast(self.device.type, torch.bfloat16, enabled=enabled):
            actions = self.policy.sample(batch, generator=generators, previous=start, continuing=running)
        out = actions.cpu().numpy().astype(np.float64)
        if not np.isfinite(out).all():
            row = int(np.argwhere(~np.isfinite(out))[0][0])
            raise NonFiniteError(
                "the policy decided on actions that are not finite", got=f"row {row} of the batch", expected="numbers"
            )
        self.latency.add(time.perf_counter() - started)
        return out

    def _batch(self, histories: Sequence[Sequence[Observation]], instructions: Sequence[str]) -> dict[str, Tensor]:
        arrays = observation_batch(histories, self.policy.config.inputs, self.policy.embodiment)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        for text in dict.fromkeys(instructions):
            self.learn_instruction(text)
        told = [self._instructions[text] for text in instructions]
        batch.update({name: torch.cat([entries[name] for entries in told]) for name in told[0]})
        batch[SOURCE] = torch.full((len(histories),), self._source)
        return {name: self._to_device(tensor) for name, tensor in batch.items()}

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)
