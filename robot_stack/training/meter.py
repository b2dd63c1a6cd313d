"""Means of metrics over a log interval, kept on the device until they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from robot_stack.algorithms.algorithm import HALTED, Metrics
from robot_stack.training.distributed import Distribution


class Meter:
    """Adds up metrics without reading them; :meth:`fetch` reads all in one transfer.

    Args:
        distribution: means are taken over all its processes.
    """

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._halted: Tensor | None = None

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of one update; nothing waits for the device."""
        self._count += 1
        for name, value in metrics.items():
            if name == HALTED:
                self._halted = value
            elif name in self._sums:
                self._sums[name] += value.detach()
            else:
                self._sums[name] = value.detach().to(torch.float32, copy=True)

    def fetch(self) -> dict[str, float]:
        """Means since the last fetch, by name, and start again."""
        if not self._sums:
            return {}
        means = self.distribution.mean(torch.stack(list(self._sums.values())) / self._count).tolist()
        out = dict(zip(self._sums, means, strict=True))
        self._sums, self._count = {}, 0
        return out

    def halted_at(self) -> int:
        """The step whose update was refused, 0 if there was none; waits for the device."""
        return 0 if self._halted is None else int(self._halted.item())
