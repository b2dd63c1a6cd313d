"""Deadlines are absolute, jobs run between them, and a defect of a tick ends in the last resort, not in silence."""

from __future__ import annotations

import gc
import threading

import pytest

from robot_stack.core.clock import MonotonicClock, SimulatedClock
from robot_stack.hardware.realtime import LoopThread, Pacer, prepare_thread, raise_threads, release_thread


@pytest.fixture(autouse=True)
def collector() -> object:
    yield
    release_thread()


class Ticker:
    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []
        self.errors: list[Exception] = []
        self.threads: set[int] = set()
        self.error: Exception | None = None
        self.enough = threading.Event()

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        self.threads.add(threading.get_ident())
        self.ticks.append((now_s, late_s))
        if len(self.ticks) >= 20:
            self.enough.set()
        if self.error is not None:
            raise self.error

    def last_resort(self, error: Exception) -> None:
        self.errors.append(error)


def test_deadlines_lie_on_a_grid_and_missed_ones_are_skipped() -> None:
    clock = SimulatedClock(10.0)
    pacer = Pacer(clock, 0.25)
    assert pacer.wait() == (10.0, 0.0)
    assert pacer.wait() == (10.25, 0.0)
    clock.sleep_until(11.125)  # two deadlines and a half go by
    assert pacer.wait() == (11.125, 0.625)
    assert pacer.wait() == (11.25, 0.0)
    clock.sleep_until(11.75)
    assert pacer.wait() == (11.75, 0.25)
    assert pacer.wait() == (12.0, 0.0)


def start(ticker: Ticker) -> LoopThread:
    thread = LoopThread(ticker, MonotonicClock(), 0.001, lock_memory=False)
    thread.start()

    def run() -> None:
        thread.running = True

    thread.call(run, 10.0)
    return thread


def test_jobs_run_in_the_loops_thread_and_their_errors_come_back() -> None:
    ticker = Ticker()
    thread = start(ticker)
    assert ticker.enough.wait(20.0)
    assert {thread.call(threading.get_ident, 10.0)} == ticker.threads
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0, 10.0)
    assert thread.end(10.0)
    count = len(ticker.ticks)
    assert count >= 20 and not ticker.errors


def test_a_tick_that_raises_is_counted_and_the_loop_goes_on() -> None:
    ticker = Ticker()
    ticker.error = RuntimeError("a defect")
    thread = start(ticker)
    assert ticker.enough.wait(20.0)
    thread.end(10.0)
    assert thread.defects == len(ticker.ticks) == len(ticker.errors)
    assert thread.last_defect == "RuntimeError: a defect"


def test_a_thread_that_hangs_is_told_to_whoever_waits() -> None:
    thread = LoopThread(Ticker(), MonotonicClock(), 0.001, lock_memory=False)
    with pytest.raises(TimeoutError, match="did not answer"):
        thread.call(lambda: None, 0.01)  # was never started


def test_what_the_system_does_not_allow_is_said() -> None:
    notes = prepare_thread(priority=200, lock_memory=False)  # there is no such priority
    assert any("SCHED_FIFO 200" in note for note in notes)
    assert "SCHED_FIFO was not allowed" in raise_threads(200, 0)[0]
    assert raise_threads(0, 0) == ()
    assert not gc.isenabled()
    release_thread()
    assert gc.isenabled()
