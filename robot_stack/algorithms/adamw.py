"""AdamW (Loshchilov and Hutter, 2019) with clipping and a schedule, which refuses updates that are not finite.

The refusal happens on the device: the gradient norm decides a flag, and the fused kernel of torch reads the flag
(``found_inf``, the mechanism of ``torch.amp.GradScaler``) and leaves weights and moments untouched. The host learns of
it when it next fetches metrics; until then every later update is refused as well, so nothing is lost or spoilt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robot_stack.algorithms.algorithm import HALTED, Metrics
from robot_stack.core.errors import CheckpointError, ConfigError

Schedule = Callable[[int], float]
"""Factor of the learning rate for update number 1, 2, 3, …"""


@dataclass(frozen=True)
class AdamWConfig:
    """Settings of :class:`AdamW`; the defaults are Diffusion Policy's, but for the clipping."""

    lr: float = 1e-4
    """Learning rate at factor 1 of the schedule."""

    betas: tuple[float, float] = (0.95, 0.999)
    """Decay of the first and second moment."""

    eps: float = 1e-8
    """Added to the root of the second moment."""

    weight_decay: float = 1e-6
    """Pull towards zero, on matrices and kernels; never on biases and norms."""

    clip_norm: float | None = 10.0
    """Longest gradient over all parameters; ``None`` leaves it as it is."""

    lr_scales: tuple[tuple[str, float], ...] = ()
    """``(prefix, factor)``: parameters whose name begins with the prefix learn at ``factor * lr``; first match wins."""


class AdamW:
    """Updates named parameters.

    Args:
        parameters: names and parameters; those that require no gradient are left out.
        config: settings.
        schedule: factor of the learning rate.

    Raises:
        ConfigError: if nothing is trainable or a prefix of ``lr_scales`` matches nothing.
    """

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], config: AdamWConfig, schedule: Schedule) -> None:
        self.config = config
        self.schedule = schedule
        self.parameters = {name: p for name, p in parameters if p.requires_grad}
        if not self.parameters:
            raise ConfigError("there is no trainable parameter", expected="at least one parameter that requires_grad")
        groups = _groups(self.parameters, config)
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)
        self._scales = [group["lr"] / config.lr for group in groups]
        device = next(iter(self.parameters.values())).device
        self.halted_at = torch.zeros((), device=device)
        """Step of the first refused update, 0 while there was none; float32 ()."""
        self._one, self._nan = torch.ones((), device=device), torch.full((), torch.nan, device=device)

    @property
    def halted(self) -> Tensor:
        """1 when updates are refused, else 0; float32 ()."""
        return (self.halted_at > 0).to(torch.float32)

    def step(self, loss: Tensor, step: int) -> Metrics:
        """Back-propagate and update.

        Args:
            loss: scalar.
            step: number of this update, from 1.

        Returns:
            ``"gradient_norm"`` before clipping, ``"lr"`` and ``"halted_at"``.
        """
        self.optimizer.zero_grad(set_to_none=True)
        # A loss that is not finite makes every gradient NaN, so that all ranks of a distributed run see it alike.
        (loss * torch.where(loss.isfinite(), self._one, self._nan)).backward()
        limit = float("inf") if self.config.clip_norm is None else self.config.clip_norm
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), limit)
        self.halted_at = torch.where((self.halted_at == 0) & ~norm.isfinite(), float(step), self.halted_at)
        factor = self.schedule(step)
        for group, scale in zip(self.optimizer.param_groups, self._scales, strict=True):
            group["lr"] = self.config.lr * scale * factor
        self.optimizer.found_inf = self.halted  # type: ignore[attr-defined]
        self.optimizer.step()
        lr = torch.full_like(norm, self.config.lr * factor)
        return {"gradient_norm": norm.detach(), "lr": lr, HALTED: self.halted_at}

    def release(self) -> None:
        """Allow updates again after a halt."""
        self.halted_at.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """The moments, as ``<parameter>/exp_avg``, ``<parameter>/exp_avg_sq`` and ``<parameter>/step``."""
        out = {}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                out[f"{name}/{key}"] = value
        return out

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            CheckpointError: if the moments belong to other parameters.
        """
        states: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            parameter, _, key = name.rpartition("/")
            states.setdefault(parameter, {})[key] = value
        unknown = sorted(set(states) - set(self.parameters))
        if unknown:
            raise CheckpointError("the optimiser state belongs to other parameters", got=unknown[:5])
        self.optimizer.state.clear()
        for name, state in states.items():
            parameter = self.parameters[name]
            if state["exp_avg"].shape != parameter.shape:
                raise CheckpointError(
                    f"the moments of {name!r} have another shape", got=state["exp_avg"].shape, expected=parameter.shape
                )
            self.optimizer.state[parameter] = {k: v.to(parameter.device, copy=True) for k, v in state.items()}
        self.release()


def _groups(parameters: dict[str, nn.Parameter], config: AdamWConfig) -> list[dict[str, Any]]:
    """One group per combination of learning rate and weight decay."""
    unused = {prefix for prefix, _ in config.lr_scales}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        prefix, scale = next(((p, s) for p, s in config.lr_scales if name.startswith(p)), (None, 1.0))
        unused.discard(prefix or "")
        decay = config.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((config.lr * scale, decay), []).append(parameter)
    if unused:
        raise ConfigError(
            "a prefix of lr_scales matches no trainable parameter", got=sorted(unused), expected=sorted(parameters)[:20]
        )
    return [{"params": p, "lr": lr, "weight_decay": decay} for (lr, decay), p in groups.items()]
