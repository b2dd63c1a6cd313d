"""The same bytes over real ROS topics: our layouts against ROS's own serialiser, the bus against the emulator."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")

from robot_stack.core.clock import ScaledClock
from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.ros.environment import ros_environment
from robot_stack.hardware.ros.generate.messages import messages
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1, EmulatorConfig
from robot_stack.hardware.unitree_g1.emulator import G1Emulator
from robot_stack.hardware.unitree_g1.layout import BATTERY, COMMAND, IMU, STATE, Layout
from robot_stack.hardware.unitree_g1.ros_link import RosLink
from robot_stack.sim.joint_plant import MujocoPlant
from tests.hardware.unitree_g1.rig import hold_at

DOMAIN = 101 + os.getpid() % 90
CLOCK = ScaledClock(0.2)
KINDS = {"LowCmd": COMMAND, "LowState": STATE, "BmsState": BATTERY, "IMUState": IMU}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(domain=DOMAIN, discovery="localhost").items():
            patch.setenv(name, value)
        yield


class Running:
    """An emulated robot on topics, moved by a thread."""

    def __init__(self, plant: MujocoPlant) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=DOMAIN)
        self.node = rclpy.create_node("emulator", context=self.context)
        plant.reset(0)
        robot = EmulatedG1(plant.read(), EmulatorConfig(hoist="on"), plant.period_s, plant.hoist)
        self.emulator = G1Emulator(robot, self.node, DOMAIN)
        self.robot, self.plant = robot, plant
        self._end = threading.Event()
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._threads = [threading.Thread(target=self._live), threading.Thread(target=self._spin)]
        for thread in self._threads:
            thread.start()

    def put(self, name: str, value: Any) -> Any:
        from rclpy.parameter import Parameter

        return self.node.set_parameters([Parameter(name, value=value)])[0]

    def close(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(20)
        self.emulator.close()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _live(self) -> None:
        due = CLOCK.now()
        while not self._end.is_set():
            self.plant.advance(self.emulator.command(self.plant.read()))
            self.emulator.publish(self.plant.read())
            due = max(due + self.plant.period_s, CLOCK.now() - 0.05)
            CLOCK.sleep_until(due)

    def _spin(self) -> None:
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.1)


@pytest.fixture
def running(plant: MujocoPlant) -> Iterator[Running]:
    made = Running(plant)
    yield made
    made.close()


@pytest.fixture
def bus(running: Running) -> Iterator[G1Bus]:
    made = G1Bus(RosLink(DOMAIN), CLOCK, G1Config(wait_s=20.0, damping_s=0.2))
    made.open()
    yield made
    made.close()


def until(bus: G1Bus, true: Callable[[], Any], what: str, writes: bool = True) -> Any:
    """Go on commanding until what was waited for came."""
    end = CLOCK.now() + 20.0
    while CLOCK.now() < end:
        state = bus.read()
        if state is not None and writes:
            bus.write(hold_at(state.joint_position))
        if found := true():
            return found
        CLOCK.sleep_until(CLOCK.now() + 0.002)
    raise AssertionError(f"{what} never came to be: {bus.read()}")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_our_bytes_are_those_of_ross_own_serialiser(name: str, seed: int) -> None:
    from rclpy.serialization import deserialize_message, serialize_message

    layout, kind = KINDS[name], getattr(messages("unitree_hg").msg, name)
    rng = np.random.Generator(np.random.PCG64(seed))
    record = np.zeros((), layout.kind)
    _fill(record, layout.kind, rng)
    wire = layout.write(record)
    message = deserialize_message(wire, kind)
    theirs = serialize_message(message)  # which leaves whatever it finds in its padding
    assert layout.read(theirs).tobytes() == record.tobytes()
    assert _equal(message, record, layout)


def _fill(record: Any, kind: np.dtype, rng: np.random.Generator) -> None:
    for name in kind.names or ():
        part = record[name]
        if part.dtype.names:
            for one in part.reshape(-1) if part.shape else (part,):
                _fill(one, part.dtype, rng)
        elif part.dtype.kind == "f":
            record[name] = rng.normal(size=part.shape)
        else:
            record[name] = rng.integers(0, 100, size=part.shape)


def _equal(message: Any, record: Any, layout: Layout) -> bool:
    if layout is STATE:
        motors = [(m.mode, m.q, m.temperature[1], m.motorstate) for m in message.motor_state]
        ours = record["motor_state"]
        theirs = [(r["mode"], r["q"], r["temperature"][1], r["motorstate"]) for r in ours]
        return motors == theirs and message.crc == record["crc"] and message.tick == record["tick"]
    if layout is COMMAND:
        return [m.kp for m in message.motor_cmd] == record["motor_cmd"]["kp"].tolist() and message.crc == record["crc"]
    if layout is BATTERY:
        return message.soc == record["soc"] and list(message.cell_vol) == record["cell_vol"].tolist()
    return np.array_equal(message.rpy, record["rpy"]) and message.temperature == record["temperature"]


def test_engaged_commanded_watched_and_released(running: Running, bus: G1Bus) -> None:
    other = RosLink(DOMAIN)
    bus.engage()
    assert running.robot.motion == ""
    state = bus.read()
    assert state is not None and state.faults == ()
    np.testing.assert_allclose(state.joint_position, running.plant.read().joint_position, atol=0.5)

    obeyed = running.robot.obeyed
    until(bus, lambda: running.robot.obeyed > obeyed + 50, "obedience")
    assert sum(running.robot.ignored.values()) == 0
    until(bus, lambda: "battery_percent" in (bus.read() or state).readings, "the battery")

    assert running.put("faults", ["hot_casing=5"]).successful
    until(bus, lambda: any("casing at 95" in f for f in (bus.read() or state).faults), "the fault")
    assert "did you mean 'hot_casing'" in running.put("faults", ["hot_caseing"]).reason
    assert running.put("faults", [""]).successful
    assert running.put("buttons", ["L2", "B"]).successful
    until(bus, lambda: (bus.read() or state).buttons == {"L2", "B"}, "the buttons")

    other.open()
    until(bus, lambda: any("other publisher" in f for f in (bus.read() or state).faults), "the second writer")
    other.close()
    bus.release()
    with pytest.raises(BusError):
        bus.write(hold_at(state.joint_position))


def test_a_robot_that_is_not_there_is_told_with_the_remedy() -> None:
    bus = G1Bus(RosLink(DOMAIN), CLOCK, G1Config(wait_s=0.2))
    with pytest.raises(BusError, match="not open"):
        bus.engage()
    bus.open()
    bus.open()
    with pytest.raises(BusError, match=r"(?s)nothing was heard.*192\.168\.123"):
        bus.engage()
    bus.release()
    bus.close()
    bus.close()


def test_a_silent_motion_switcher_is_told_with_the_remedy(
    running: Running, bus: G1Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.emulator, "_answer", lambda request: None)
    quick = G1Bus(bus._link, CLOCK, G1Config(wait_s=1.0))
    with pytest.raises(BusError, match=r"(?s)does not answer.*release_motion"):
        quick.engage()
    assert running.robot.motion == "ai" and running.robot.obeyed == 0
