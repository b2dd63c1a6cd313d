"""An endless, resumable, shardable stream of training batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

from robot_stack.core.errors import CheckpointError, ConfigError
from robot_stack.datasets.mixture import Mixture, Source
from robot_stack.datasets.windows import Batch, Windows

_STATE_VERSION = 1


class BatchStream:
    """Batches in an order that is a function of the seed and the step alone.

    Step ``s`` of the stream is a *global batch*; each of ``world_size`` processes gets its own share of it, so that
    two processes with batches of 32 see in every step what one process with batches of 64 sees. Every window of a
    source is seen once before any is seen again.

    Args:
        data: windows of one dataset, or a mixture.
        batch_size: windows in each batch of this process.
        seed: of the order.
        rank: number of this process.
        world_size: how many processes share the stream.

    Raises:
        ConfigError: if the sizes make no sense.
    """

    def __init__(
        self, data: Windows | Mixture, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            got = f"batch_size={batch_size}, rank={rank}, world_size={world_size}"
            raise ConfigError("a stream needs batch_size >= 1 and 0 <= rank < world_size", got=got)
        self.data = data if isinstance(data, Mixture) else Mixture([Source(data)])
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.step = 0
        """Number of the batch that comes next."""

    def batch_at(self, step: int) -> Batch:
        """The batch of any step."""
        size = self.batch_size * self.world_size
        source, window = self.data.draw(step * size, size, seed=self.seed)
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        return self.data.batch(source[mine], window[mine])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self.batch_at(self.step)
        self.step += 1
        return batch

    @property
    def epoch(self) -> float:
        """How often the windows have been seen on average."""
        return self.step * self.batch_size * self.world_size / self.data.num_windows

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs, as plain data."""
        return {"version": _STATE_VERSION, "step": self.step, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a stream over the same data stood.

        The number of processes may be another one as long as the global batch is the same.

        Raises:
            CheckpointError: if the data, the seed or the global batch differ, naming what does.
        """
        mine = self._identity()
        for key, value in mine.items():
            if state.get(key) != value:
                raise CheckpointError(
                    f"the data stream cannot be resumed: {key} differs",
                    got=value,
                    expected=state.get(key),
                    remedy="resume with the data and settings of the first run, or begin a new run",
                )
        self.step = int(state["step"])

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "global_batch_size": self.batch_size * self.world_size,
            "sources": self.data.describe(),
        }


class Prefetcher:
    """Gathers the next batches of a stream in a thread while the present one is used; order and state stay the same.

    Args:
        stream: what to read; do not use it directly while this object is open.
        depth: how many batches to hold ready.
    """

    def __init__(self, stream: BatchStream, *, depth: int = 2) -> None:
        self.stream = stream
        self._depth = depth
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._thread is None:
            self._start()
        item = self._queue.get()
        if isinstance(item, BaseException):
            self.close()
            raise item
        self.stream.step += 1
        return item

    def state_dict(self) -> dict[str, Any]:
        """State of the stream as the user of the batches sees it."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :meth:`BatchStream.load_state_dict`."""
        self.close()
        self.stream.load_state_dict(state)

    def close(self) -> None:
        """End the thread; the object can be used again and goes on with the next batch."""
        if self._thread is not None:
            self._stop.set()
            while self._thread.is_alive():
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    self._thread.join(timeout=0.05)
            self._thread = None

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        self._queue: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=self._depth)
        self._stop = threading.Event()
        arguments = (self.stream, self.stream.step, self._queue, self._stop)
        self._thread = threading.Thread(target=_produce, args=arguments, name="batch-prefetch", daemon=True)
        self._thread.start()


def _produce(
    stream: BatchStream, step: int, batches: queue.Queue[Batch | BaseException], stop: threading.Event
) -> None:
    while not stop.is_set():
        try:
            batches.put(stream.batch_at(step))
        except Exception as error:  # handed to the user of the batches, who raises it
            batches.put(error)
            return
        step += 1
