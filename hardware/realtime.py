"""A thread for a robot's loop: absolute deadlines, counted overruns, and as little in its way as the system allows."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from robot_stack.core.clock import Clock

T = TypeVar("T")

_LOCK_ALL = 3
"""MCL_CURRENT and MCL_FUTURE of mlockall."""

_SWITCH_S = 0.0005
"""How long another thread may keep Python's lock while this one waits for it [s]."""


class Ticker(Protocol):
    """What is called at every deadline."""

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        """One period.

        Args:
            now_s: the time [s].
            late_s: since the deadline [s].
        """
        ...

    def last_resort(self, error: Exception) -> None:
        """``tick`` raised, which is a defect: stop the robot with as little code as there can be."""
        ...


class Pacer:
    """Deadlines on a grid; one that was missed is skipped, never made up for by hurrying.

    Args:
        clock: of the deadlines.
        period_s: between them [s].
    """

    def __init__(self, clock: Clock, period_s: float) -> None:
        self._clock, self._period_s = clock, period_s
        self._due_s = clock.now()

    def restart(self) -> None:
        """The next deadline is now."""
        self._due_s = self._clock.now()

    @property
    def due_s(self) -> float:
        """The next deadline [s]."""
        return self._due_s

    def wait(self) -> tuple[float, float]:
        """Sleep until the next deadline; the time now, and how late it is [s]."""
        self._clock.sleep_until(self._due_s)
        now_s = self._clock.now()
        late_s = max(0.0, now_s - self._due_s)
        self._due_s += self._period_s * (1 + math.floor(late_s / self._period_s))
        return now_s, late_s


class LoopThread:
    """Calls a loop at its deadlines, and everything else that touches the robot between them.

    Args:
        ticker: the loop.
        clock: of the deadlines.
        period_s: between them [s].
        priority: of SCHED_FIFO; 0 for none.
        lock_memory: keep the process in memory, where the system allows it.
    """

    def __init__(
        self, ticker: Ticker, clock: Clock, period_s: float, priority: int = 0, lock_memory: bool = True
    ) -> None:
        self._ticker, self._clock, self._pacer = ticker, clock, Pacer(clock, period_s)
        self._priority, self._lock_memory = priority, lock_memory
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="robot loop", daemon=True)
        self.running = False
        """Deadlines are kept; set it by a job of :meth:`call`."""
        self.notes: tuple[str, ...] = ()
        """What the system did not allow, in sentences."""
        self.defects = 0
        """Ticks that raised."""
        self.last_defect = ""
        """What the last of them said."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self, job: Callable[[], T], timeout_s: float) -> T:
        """Run a job in the loop's thread, between two deadlines, and wait for it.

        Raises:
            TimeoutError: if it was not done within so many real seconds.
            Exception: whatever the job raises.
        """
        handed = _Job(job)
        self._jobs.put(handed)
        if not handed.done.wait(timeout_s):
            raise TimeoutError(f"the robot's loop did not answer within {timeout_s:g} s")
        if handed.error is not None:
            raise handed.error
        return handed.result

    @property
    def native_id(self) -> int:
        """Of the thread, for the operating system."""
        return self._thread.native_id or 0

    def end(self, timeout_s: float = 5.0) -> bool:
        """End the thread; whether it did within so many real seconds."""
        self._ending.set()
        self._jobs.put(_Job(lambda: None))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self.notes = prepare_thread(self._priority, self._lock_memory)
        sweeper = _Sweeper(self._clock)
        while not self._ending.is_set():
            if not self.running:
                self._work(self._jobs.get())
                self._pacer.restart()
                continue
            now_s, late_s = self._pacer.wait()
            try:
                self._ticker.tick(now_s, late_s)
            except Exception as error:  # a defect of ours must not leave the robot alone
                self.defects += 1
                self.last_defect = f"{type(error).__name__}: {error}"
                self._ticker.last_resort(error)
            while not self._jobs.empty():
                self._work(self._jobs.get())
            sweeper.sweep(self._pacer.due_s)

    def _work(self, job: _Job) -> None:
        job.run()


class _Job:
    """Something to do in the loop's thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error
        self.done.set()


class _Sweeper:
    """Collects garbage between deadlines, since the collector is switched off: the youngest every second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_s = clock.now() + 1.0
        self._count = 0

    def sweep(self, due_s: float) -> None:
        now_s = self._clock.now()
        if now_s < self._next_s or due_s - now_s < 0.0005:
            return
        self._next_s = now_s + 1.0
        self._count += 1
        gc.collect(2 if self._count % 30 == 0 else 1)


def prepare_thread(priority: int = 0, lock_memory: bool = True) -> tuple[str, ...]:
    """Make the calling thread fit for deadlines; what was not allowed is returned in sentences.

    What exists is taken out of the garbage collector's sight and the collector is switched off; whoever calls this
    collects by hand. The thread gets Python's lock within half a millisecond.

    Args:
        priority: of SCHED_FIFO for this thread; 0 leaves the scheduler alone.
        lock_memory: keep the whole process in memory.
    """
    notes: list[str] = []
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    if lock_memory:
        try:
            locked = ctypes.CDLL(None, use_errno=True).mlockall(_LOCK_ALL) == 0
        except (OSError, AttributeError):
            locked = False
        if not locked:
            notes.append("memory is not locked (needs CAP_IPC_LOCK or a larger memlock limit)")
    if priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except (OSError, AttributeError) as error:
            notes.append(f"SCHED_FIFO {priority} was not allowed ({error}); needs CAP_SYS_NICE or an rtprio limit")
    return tuple(notes)


def raise_threads(priority: int, besides: int) -> tuple[str, ...]:
    """Give every thread of this process a SCHED_FIFO priority, so that none is kept waiting with Python's lock in hand.

    Args:
        priority: below that of the loop; nothing is done below 1.
        besides: native id of the loop's thread, which keeps its own.

    Returns:
        What was not allowed, in sentences.
    """
    try:
        threads = [int(each.name) for each in Path("/proc/self/task").iterdir()] if priority >= 1 else []
        for thread in threads:
            if thread != besides:
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError) as error:
        return (f"the loop may have to wait for other threads of its process: SCHED_FIFO was not allowed ({error})",)
    return ()


def release_thread() -> None:
    """Undo :func:`prepare_thread` as far as the whole process is concerned."""
    gc.unfreeze()
    gc.enable()
    sys.setswitchinterval(0.005)
