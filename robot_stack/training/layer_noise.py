"""Dropout and its like draw from torch's own generator: borrow it, seed it per step, give it back as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch


@contextlib.contextmanager
def borrowed_generator(device: torch.device) -> Iterator[Callable[[int], None]]:
    """Yield a function that seeds torch's generators for the CPU and ``device``; restore both at the end.

    Seeding waits for nothing: a GPU's generator is a counter on the host.
    """
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        generators = [torch.default_generator]
        if cuda:
            index = torch.cuda.current_device() if device.index is None else device.index
            generators.append(torch.cuda.default_generators[index])

        def seed(value: int) -> None:
            for generator in generators:
                generator.manual_seed(value)

        yield seed
