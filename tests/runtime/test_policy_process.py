"""A policy's process that dies at an inconvenient time."""

from __future__ import annotations

import functools
import os
import signal
import threading
from pathlib import Path

import pytest

from robot_stack.runtime.policy_client import PolicyServerError
from robot_stack.runtime.policy_process import PolicyProcess, ProcessDriver
from robot_stack.runtime.served_policy import ServedPolicy
from tests.runtime.serving import ROBOT, in_a_process, point_policy


def gated(gate: Path) -> ServedPolicy:
    """A policy that is not loaded before a file is there."""
    tick = threading.Event()
    while not gate.exists():
        tick.wait(0.02)
    return point_policy()


def killed(process: PolicyProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process._child.process.join(30)


def test_one_that_dies_while_it_loads_is_started_again_by_the_next_call(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    process = PolicyProcess(functools.partial(gated, gate))
    try:
        killed(process)
        with pytest.raises(PolicyServerError, match="ended while it loaded"):
            process.address()
        gate.touch()
        driver = ProcessDriver(process, ROBOT)
        assert driver.connected
        driver.close()
    finally:
        process.close()


def test_one_that_dies_while_nobody_asks_is_missed_and_brought_back() -> None:
    with in_a_process() as process:
        driver = ProcessDriver(process, ROBOT)
        assert driver.connected
        killed(process)
        assert not driver.connected
        driver.connect()
        assert driver.connected
        driver.reset(0, "push the point to the goal", 1)
        driver.close()
