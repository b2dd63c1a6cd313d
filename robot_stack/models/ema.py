"""Exponential moving average of weights, with the warm-up schedule of Diffusion Policy."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class EmaConfig:
    """Schedule of the decay: ``clip(1 - (1 + step / inv_gamma) ** -power, min_decay, max_decay)``.

    The defaults are Diffusion Policy's (real-stanford/diffusion_policy, after K. Crowson); without EMA its success
    rates fall.

    Args:
        power: how fast the decay approaches 1.
        inv_gamma: steps until the schedule bends.
        min_decay: smallest decay once averaging has begun.
        max_decay: largest decay.
        update_after_step: until then the average is a copy of the weights.
    """

    power: float = 0.75
    inv_gamma: float = 1.0
    min_decay: float = 0.0
    max_decay: float = 0.9999
    update_after_step: int = 0

    def decay(self, step: int) -> float:
        """Decay of update number ``step`` (from 0); 0 makes the average a copy."""
        count = step - self.update_after_step - 1
        if count <= 0:
            return 0.0
        return max(self.min_decay, min(1.0 - (1.0 + count / self.inv_gamma) ** -self.power, self.max_decay))


class Ema(Generic[M]):
    """An averaged copy of a module.

    Trainable floating parameters are averaged, all other parameters and buffers copied. The updates are fused over
    all parameters and never synchronise with the host.

    Args:
        module: what to average.
        config: the schedule.
    """

    def __init__(self, module: M, config: EmaConfig | None = None) -> None:
        self.config = config or EmaConfig()
        self.step = 0
        self.module: M = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: M, hold: Tensor | None = None) -> float:
        """Move the average towards ``module``; return the decay that was used.

        Args:
            module: the new weights.
            hold: scalar on the device; 1 leaves the average bit for bit as it is, 0 (or ``None``) moves it. It is how
                a trainer that has refused an update keeps the average too, without reading the flag back.
        """
        decay = self.config.decay(self.step)
        pairs = list(zip(self.module.parameters(), module.parameters(), strict=True))
        averaged: list[tuple[Tensor, Tensor]] = [(own, new) for own, new in pairs if new.requires_grad]
        copied: list[tuple[Tensor, Tensor]] = [(own, new) for own, new in pairs if not new.requires_grad]
        copied += list(zip(self.module.buffers(), module.buffers(), strict=True))
        if averaged:
            owns: list[Tensor] = [own for own, _ in averaged]
            news = [new.detach().to(own.dtype) for own, new in averaged]
            if hold is None:
                torch._foreach_lerp_(owns, news, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]
            else:
                _lerp_by_tensor(owns, news, (1.0 - decay) * (1.0 - hold))
        if copied:
            kept: list[Tensor] = [own for own, _ in copied]
            torch._foreach_copy_(kept, [new.detach() for _, new in copied])  # pyright: ignore[reportPrivateImportUsage]
        self.step += 1
        return decay

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"step": self.step, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            ConfigError: if the state has no step count.
        """
        if not isinstance(state.get("step"), int):
            raise ConfigError("the state of an EMA has no step count", got=sorted(state))
        weights: dict[str, Tensor] = state["module"]
        self.module.load_state_dict(weights)
        self.step = state["step"]


def _lerp_by_tensor(owns: list[Tensor], news: list[Tensor], weight: Tensor) -> None:
    """Move ``owns`` towards ``news`` by a share that the host does not know."""
    if not weight.is_cuda:
        torch._foreach_lerp_(owns, news, [weight] * len(owns))  # pyright: ignore[reportPrivateImportUsage]
        return
    # On a GPU a list of weights falls back to one kernel for each parameter: three fused ones are faster.
    moves = torch._foreach_sub(news, owns)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_mul_(moves, weight)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(owns, moves)  # pyright: ignore[reportPrivateImportUsage]
