"""Our end of the line and an emulated Go1, over UDP on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.unitree_go1.emulator import EmulatedGo1
from robot_stack.hardware.unitree_go1.link import Go1Address, LegLink, UdpLegs
from robot_stack.hardware.unitree_go1.packets import MOTORS, LegState, limp
from robot_stack.hardware.unitree_go1.vendor import VendorLegs, find_binding

PATIENCE_S = 10.0
"""For packets on loopback [s]."""


@pytest.fixture
def robot() -> Iterator[EmulatedGo1]:
    made = EmulatedGo1()
    yield made
    made.close()


@pytest.fixture(params=["ours", "vendor"])
def legs(request: pytest.FixtureRequest, robot: EmulatedGo1) -> Iterator[LegLink]:
    address = Go1Address("127.0.0.1", robot.port, "127.0.0.1", 0)
    if request.param == "vendor":
        pytest.importorskip("robot_interface", reason="Unitree's Python binding is not installed")
        address = replace(address, local_port=18091)
    made: LegLink = UdpLegs(address) if request.param == "ours" else VendorLegs(address)
    made.open()
    yield made
    made.close()


def _state(tick: int) -> LegState:
    return LegState(tick, np.full(MOTORS, 0.001 * tick), np.zeros(MOTORS), np.zeros(MOTORS))


def _exchange(legs: LegLink, robot: EmulatedGo1, tick: int) -> LegState | None:
    """One period: a command there, the state back; ``None`` when none comes."""
    heard = robot.heard.commands
    legs.send(replace(limp(), stiffness=np.full(MOTORS, float(tick))))
    deadline = time.monotonic() + PATIENCE_S
    while robot.heard.commands == heard and time.monotonic() < deadline:
        robot.hear()
    robot.tell(_state(tick))
    return _received(legs, 0.5)


def _received(legs: LegLink, patience_s: float) -> LegState | None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = legs.receive()
        if found is not None:
            return found
    return None


def test_commands_go_and_states_come(legs: LegLink, robot: EmulatedGo1) -> None:
    assert legs.receive() is None
    for tick in (10, 12, 14):
        state = _exchange(legs, robot, tick)
        assert state is not None and state.tick == tick
        assert state.position[3] == pytest.approx(0.001 * tick, abs=1e-7)
        assert robot.heard.last is not None
        np.testing.assert_array_equal(robot.heard.last.stiffness, np.full(MOTORS, float(tick)))
    assert robot.heard.refused == 0
    assert legs.counters()["bad"] == 0


def _ours(robot: EmulatedGo1) -> UdpLegs:
    legs = UdpLegs(Go1Address("127.0.0.1", robot.port, "127.0.0.1", 0))
    legs.open()
    return legs


def test_of_several_states_the_newest_counts(robot: EmulatedGo1) -> None:
    legs = _ours(robot)
    assert _exchange(legs, robot, 10) is not None
    for tick in (12, 16, 14):
        robot.tell(_state(tick))
    deadline, newest = time.monotonic() + PATIENCE_S, 0
    while legs.counters()["late"] == 0 and time.monotonic() < deadline:
        state = legs.receive()
        newest = newest if state is None else state.tick
    assert newest == 16
    assert legs.counters()["late"] == 1
    legs.close()


def test_doubled_swapped_and_damaged_states(robot: EmulatedGo1) -> None:
    legs = _ours(robot)
    robot.faults.twice, robot.faults.swap, robot.faults.damage = 0.3, 0.3, 0.3
    ticks = []
    for tick in range(10, 210, 2):
        legs.send(limp())
        robot.hear()
        robot.tell(_state(tick))
        state = _received(legs, 0.003)
        if state is not None:
            ticks.append(state.tick)
            np.testing.assert_allclose(state.position, 0.001 * state.tick, atol=1e-6)
    assert ticks == sorted(set(ticks)) and len(ticks) > 20
    assert legs.counters()["late"] > 0 and legs.counters()["bad"] > 0
    legs.close()


def test_a_robot_that_starts_anew_is_believed(robot: EmulatedGo1) -> None:
    legs = _ours(robot)
    assert _exchange(legs, robot, 500_000) is not None
    state = _exchange(legs, robot, 2)
    assert state is not None and state.tick == 2
    legs.close()


def test_a_frozen_robot_repeats_its_count(robot: EmulatedGo1) -> None:
    legs = _ours(robot)
    assert _exchange(legs, robot, 10) is not None
    robot.faults.frozen = True
    assert _exchange(legs, robot, 12) is None  # the count of 10 again
    legs.close()


def test_nobody_there(robot: EmulatedGo1) -> None:
    robot.close()
    legs = _ours(robot)
    for _ in range(3):
        legs.send(limp())
        assert legs.receive() is None
    legs.close()


def test_a_port_that_is_taken(robot: EmulatedGo1) -> None:
    with pytest.raises(BusError, match="no way to the Go1's network"):
        UdpLegs(Go1Address("127.0.0.1", robot.port, "127.0.0.1", robot.port)).open()
    with pytest.raises(BusError, match="not open"):
        UdpLegs().send(limp())


def test_without_unitrees_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "robot_interface", None)
    with pytest.raises(BusError, match="robot_interface is not installed"):
        find_binding()
    with pytest.raises(BusError, match="PYTHON_BUILD"):
        VendorLegs(Go1Address()).open()
