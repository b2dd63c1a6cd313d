"""Behaviour cloning of any policy that knows its own loss: diffusion policy, flow matching, plain regression.

One update, as in Diffusion Policy (Chi et al., 2023): loss under autocast, back-propagation, clipped AdamW with a
scheduled learning rate, and a moving average of the weights, which is what gets deployed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from robot_stack.algorithms.adamw import AdamW, AdamWConfig, Schedule
from robot_stack.algorithms.algorithm import AlgorithmState, Batch, Metrics, step_seed
from robot_stack.core.errors import CheckpointError, ConfigError
from robot_stack.models.ema import Ema, EmaConfig

Precision = Literal["auto", "float32", "bfloat16"]


class Imitator(Protocol):
    """A module with a loss."""

    def loss(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """Scalar loss of a batch; ``generator`` is the source of its noise, on the batch's device."""
        ...


P = TypeVar("P", bound=nn.Module)


@dataclass(frozen=True)
class ImitationConfig:
    """Settings of :class:`Imitation`."""

    optimizer: AdamWConfig = AdamWConfig()
    """AdamW and clipping."""

    ema: EmaConfig | None = EmaConfig()
    """Averaging of the weights; ``None`` deploys the last weights."""

    precision: Precision = "auto"
    """Of activations: ``"auto"`` is bfloat16 on a GPU that has it, else float32. Weights are always float32."""

    compile: bool = False
    """Compile the loss with ``torch.compile``: pays on a GPU in long runs, costs a minute at the start."""


class LossModule(nn.Module):
    """Makes a policy's loss its ``forward``, which is what DistributedDataParallel hooks into."""

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """The policy's loss, a scalar."""
        return self.policy.loss(batch, generator)  # type: ignore[operator]


class Imitation(Generic[P]):
    """Behaviour cloning; see :class:`robot_stack.algorithms.algorithm.Algorithm` for the methods.

    Args:
        policy: a module with ``loss(batch, generator)``, on its device.
        config: settings.
        schedule: factor of the learning rate per update.
        wrap: puts the loss module behind DistributedDataParallel; the identity when alone.
        rank: of this process, so that ranks draw different noise.
        seed: of the noise.
    """

    def __init__(
        self,
        policy: P,
        config: ImitationConfig,
        schedule: Schedule,
        *,
        wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
        rank: int = 0,
        seed: int = 0,
    ) -> None:
        if not callable(getattr(policy, "loss", None)):
            raise ConfigError("a policy without a loss cannot imitate", got=type(policy).__name__)
        self.config = config
        self.rank, self.seed = rank, seed
        self.step = 0
        self.trained = policy.train()
        self.optimizer = AdamW(policy.named_parameters(), config.optimizer, schedule)
        self.device = next(policy.parameters()).device
        self._generator = torch.Generator(self.device)
        self._autocast = autocast_dtype(config.precision, self.device)
        self._loss = wrap(LossModule(policy))  # all ranks have the weights of rank 0 from here on
        self.ema = None if config.ema is None else Ema(policy, config.ema)
        if config.compile:
            self._loss.compile()

    def update(self, batch: Batch) -> Metrics:
        """One step of training; no synchronisation with the host."""
        self.step += 1
        self._generator.manual_seed(step_seed(self.seed, self.step, self.rank))
        with self._precision():
            loss = self._loss(batch, self._generator)
        metrics = self.optimizer.step(loss, self.step)
        if self.ema is not None:
            self.ema.update(self.trained, hold=self.optimizer.halted)
        return {"loss": loss.detach(), **metrics}

    @torch.no_grad()
    def evaluate(self, batch: Batch, seed: int) -> Metrics:
        """Loss of the policy to be deployed on a batch; equal seeds draw equal noise."""
        policy = self.policy()
        self._generator.manual_seed(seed)
        was_training = policy.training
        policy.eval()
        with self._precision():
            loss = policy.loss(batch, self._generator)  # type: ignore[operator]
        policy.train(was_training)
        return {"loss": loss}

    def policy(self) -> P:
        """The averaged policy, or the trained one without averaging."""
        return self.trained if self.ema is None else self.ema.module

    def rewind(self, step: int) -> None:
        """Set the counters back to ``step`` and allow updates again."""
        if self.ema is not None:
            self.ema.step -= self.step - step
        self.step = step
        self.optimizer.release()

    def state_dict(self) -> AlgorithmState:
        """Weights, moments, averaged weights and counters."""
        state = AlgorithmState(plain={"algorithm": "imitation", "step": self.step})
        state.add("policy", self.trained.state_dict())
        state.add("optimizer", self.optimizer.state_dict())
        if self.ema is not None:
            average: dict[str, Any] = self.ema.state_dict()
            state.add("ema", average["module"])
            state.plain["ema_step"] = average["step"]
        return state

    def load_state_dict(self, state: AlgorithmState) -> None:
        """Go on from ``state``.

        Raises:
            CheckpointError: if it is of another algorithm or network.
        """
        if state.plain.get("algorithm") != "imitation" or (self.ema is None) != ("ema_step" not in state.plain):
            raise CheckpointError(
                "the checkpoint is of another algorithm, or differs in whether weights are averaged",
                got=state.plain,
                remedy="resume with the configuration the run was started with (config.json in its folder)",
            )
        _load(self.trained, state.part("policy"), "the network")
        self.optimizer.load_state_dict(state.part("optimizer"))
        if self.ema is not None:
            _load(self.ema.module, state.part("ema"), "the averaged network")
            self.ema.step = int(state.plain["ema_step"])
        self.step = int(state.plain["step"])

    def _precision(self) -> torch.autocast:
        dtype = self._autocast
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The type activations are computed in; ``None`` for plain float32."""
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None


def _load(module: nn.Module, tensors: dict[str, Tensor], what: str) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint does not fit {what}",
            got=str(error),
            remedy="resume with the configuration the run was started with (config.json in its folder)",
        ) from error
