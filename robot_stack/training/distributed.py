"""Training over several processes with torchrun: who am I, how do gradients and states travel.

``torchrun --nproc-per-node 8 …`` on one machine, or with ``--nnodes`` and ``--rdzv-endpoint`` on several, sets the
environment that :func:`open_distribution` reads. Only rank 0 writes; no file system need be shared.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from robot_stack.algorithms.algorithm import AlgorithmState
from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class Distribution:
    """This process among all."""

    rank: int = 0
    """Number of this process."""

    world_size: int = 1
    """How many there are."""

    device: torch.device = torch.device("cpu")
    """Where this process computes."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is only one process."""
        return self.world_size == 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """``module`` with gradients averaged over all processes; parameters become those of rank 0."""
        if self.is_alone:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, gradient_as_bucket_view=True)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of ``values`` over all processes, on every process."""
        if self.is_alone:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.world_size

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set on any process; all processes must call it."""
        if self.is_alone:
            return flag
        value = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return bool(value.item() > 0)

    def broadcast_json(self, value: Any) -> Any:
        """The JSON value of rank 0, on every process."""
        if self.is_alone:
            return value
        text = json.dumps(value).encode() if self.is_main else b""
        size = torch.tensor(len(text), device=self.device)
        dist.broadcast(size, 0)
        data = torch.zeros(int(size.item()), dtype=torch.uint8, device=self.device)
        if self.is_main:
            data.copy_(torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy()))
        dist.broadcast(data, 0)
        return json.loads(data.cpu().numpy().tobytes().decode())

    def broadcast_state(self, state: AlgorithmState | None) -> AlgorithmState | None:
        """The state of rank 0 on every process; ``None`` if rank 0 has none."""
        if self.is_alone:
            return state
        header = None
        if state is not None:
            shapes = {k: [str(v.dtype).removeprefix("torch."), list(v.shape)] for k, v in state.tensors.items()}
            header = {"plain": state.plain, "shapes": shapes}
        header = self.broadcast_json(header)
        if header is None:
            return None
        tensors = {}
        for name, (dtype, shape) in header["shapes"].items():
            tensor = torch.empty(shape, dtype=getattr(torch, dtype), device=self.device)
            if state is not None:
                tensor.copy_(state.tensors[name])
            dist.broadcast(tensor, 0)
            tensors[name] = tensor
        return AlgorithmState(tensors, header["plain"])


@contextlib.contextmanager
def open_distribution(device: str = "auto") -> Iterator[Distribution]:
    """Join the processes that torchrun started, or be alone; leave them at the end.

    Args:
        device: ``"auto"`` takes this process's GPU when there is one; else ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Raises:
        ConfigError: if the device does not exist, or torchrun's environment is incomplete.
    """
    world_size = _environment("WORLD_SIZE", 1)
    place = _device(device, _environment("LOCAL_RANK", 0))
    if world_size == 1:
        yield Distribution(device=place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group(backend="nccl" if place.type == "cuda" else "gloo")
    try:
        yield Distribution(dist.get_rank(), world_size, place)
        # Leave together: a process that ends while its last reduction is being put away by a thread of gloo aborts.
        dist.barrier()
    finally:
        dist.destroy_process_group()
        gc.collect()


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise ConfigError("torchrun's environment is damaged", where=name, got=text, expected="a whole number")
    return int(text)


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    elif name == "cuda":
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            "this device cannot be used",
            got=f"{name}: {str(error).splitlines()[0]}",
            expected="'auto', 'cpu', 'cuda' or 'cuda:<number>'",
            remedy="use device 'auto', or run `robot-stack doctor`",
        ) from error
    return device
