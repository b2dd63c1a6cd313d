"""From NumPy batches to tensors on the device, drawn ahead by a thread where that pays."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from robot_stack.algorithms.algorithm import Batch


@runtime_checkable
class BatchSource(Protocol):
    """An endless iterator of batches whose order can be resumed, such as ``BatchStream`` of robot_stack.datasets."""

    def __next__(self) -> Mapping[str, np.ndarray | Tensor]:
        """This process's share of the next batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where the source stands, as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there: the next batch is the one that would have come."""
        ...


_WORTH_A_THREAD = 1 << 20
"""Bytes of a batch from which on drawing it takes longer than handing it from thread to thread."""


class DeviceFeed:
    """Draws batches, ahead if need be, and puts them on the device; use it as a context manager.

    Args:
        source: drawn from by the thread alone while the block lasts.
        device: where tensors go; copies to a GPU start from pinned memory and do not wait.
        depth: batches drawn ahead by a thread; 0 draws each when it is asked for, without a thread; ``None`` takes 2
            for batches of a MiB or more (images) and 0 for small ones.
    """

    def __init__(self, source: BatchSource, device: torch.device, depth: int | None = None) -> None:
        self.source = source
        self.device = device
        self.depth = depth
        self._state = source.state_dict()
        self._first: tuple[Batch, dict[str, Any]] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __next__(self) -> Batch:
        """The next batch, on the device.

        Raises:
            Exception: whatever the source raised.
        """
        if self._first is not None:
            item, self._first = self._first, None
        else:
            item = self._draw() if self._thread is None else self._queue.get()
        if isinstance(item, BaseException):
            raise item
        batch, self._state = item
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def state_dict(self) -> dict[str, Any]:
        """State of the source after the last batch that was handed out, not the last that was drawn."""
        return self._state

    def __enter__(self) -> DeviceFeed:
        if self.depth is None:
            self._first = self._draw()
            size = sum(tensor.nbytes for tensor in self._first[0].values())
            self.depth = 2 if size >= _WORTH_A_THREAD else 0
        if self.depth:
            self._queue: queue.Queue[tuple[Batch, dict[str, Any]] | BaseException] = queue.Queue(self.depth)
            self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            while self._thread.is_alive():
                self._drain()
                self._thread.join(0.05)
        self.source.load_state_dict(self._state)

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return

    def _draw(self) -> tuple[Batch, dict[str, Any]]:
        batch = {name: self._tensor(value) for name, value in next(self.source).items()}
        return batch, self.source.state_dict()

    def _tensor(self, value: np.ndarray | Tensor) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
        return tensor.pin_memory() if self.device.type == "cuda" and tensor.device.type == "cpu" else tensor

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                item: tuple[Batch, dict[str, Any]] | BaseException = self._draw()
            except BaseException as error:  # handed to the consumer, who raises it
                item = error
            self._queue.put(item)
            if isinstance(item, BaseException):
                return
