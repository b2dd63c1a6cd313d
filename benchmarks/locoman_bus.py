"""What LocoMan's electronics cost, and how long they take, against an emulated robot on the same machine.

The emulated Go1 and servos run in a process of their own, at the rates of the real ones; in the same run a bare UDP
socket and a bare pseudo-terminal carry as many bytes, so that it shows what is ours::

    python benchmarks/locoman_bus.py --seconds 20 --json result.json

Columns are median, 99th percentile and largest, in microseconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.dynamixel import packets as servo_packets
from robot_stack.hardware.dynamixel.serial_port import SerialPort
from robot_stack.hardware.dynamixel.servo_line import ServoLine
from robot_stack.hardware.locoman.bus import LocoManBus
from robot_stack.hardware.locoman.config import LegsConfig, LocoManConfig, ServosConfig
from robot_stack.hardware.locoman.emulator import EmulatedLocoMan
from robot_stack.hardware.locoman.joint_map import ARM_SERVOS, JOINT_NAMES
from robot_stack.hardware.unitree_go1.link import Go1Address
from robot_stack.hardware.unitree_go1.packets import (
    COMMAND,
    MOTORS,
    STATE,
    LegState,
    decode_state,
    encode_command,
    encode_state,
    limp,
)

JOINTS = len(JOINT_NAMES)
ROUND_BYTES = len(servo_packets.sync_read(126, 10, (1, 2, 3, 4))), 4 * len(servo_packets.answer(1, 0, bytes(10)))
"""A question to four servos, and their answers."""


def emulate(config: LocoManConfig, ready: Event, end: Event) -> None:
    """A robot that stands still, 500 times a second."""
    emulated = EmulatedLocoMan(config)
    ticks, begin = 0, time.monotonic()
    ready.set()
    while not end.is_set():
        state = standing(ticks)
        emulated.command(state)
        emulated.publish(state)
        ticks += 1
        time.sleep(max(0.0, begin + 0.002 * ticks - time.monotonic()))
    emulated.close()


def standing(ticks: int) -> BusState:
    position, zero = np.full(JOINTS, 0.1), np.zeros(JOINTS)
    turn, still = np.array((1.0, 0.0, 0.0, 0.0)), np.zeros(3)
    return BusState(0.002 * ticks, ticks, position, zero, zero, turn, still, still, np.full(4, 30.0))


def times(call: Callable[[], object], count: int) -> list[float]:
    """Of each of many calls [s]."""
    out = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        out.append(time.perf_counter() - begin)
    return out


def lead(bus: LocoManBus, seconds: float) -> dict[str, list[float]]:
    """Reads and writes with absolute deadlines: the cost of each, lateness, the age of states."""
    zero = np.zeros(JOINTS)
    command = JointCommand(np.full(JOINTS, 0.1), zero, zero, np.full(JOINTS, 20.0), np.full(JOINTS, 1.0))
    found: dict[str, list[float]] = {"read": [], "write": [], "late": [], "between states": []}
    period, due, last = 1.0 / bus.servo_hz, time.monotonic(), -1.0
    end = due + seconds
    while due < end:
        begin = time.perf_counter()
        state = bus.read()
        middle = time.perf_counter()
        bus.write(command)
        found["write"].append(time.perf_counter() - middle)
        found["read"].append(middle - begin)
        if state is not None and state.time_s != last:
            found["between states"].append(state.time_s - last if last > 0 else period)
            last = state.time_s
        due += period
        time.sleep(max(0.0, due - time.monotonic()))
        found["late"].append(max(0.0, time.monotonic() - due))
        due = max(due, time.monotonic() - period)  # what was missed is not made up for
    return found


def bare_udp(count: int) -> list[float]:
    """There and back of as many bytes, with nothing around."""
    udp = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*udp) as far, socket.socket(*udp) as near:
        far.bind(("127.0.0.1", 0))
        near.connect(far.getsockname())

        def echo() -> None:
            for _ in range(count):
                far.sendto(bytes(STATE.itemsize), far.recvfrom(2048)[1])

        thread = threading.Thread(target=echo)
        thread.start()
        found = times(lambda: (near.send(bytes(COMMAND.itemsize)), near.recv(2048)), count)
        thread.join()
    return found


def bare_pty(count: int) -> list[float]:
    """Likewise over a pseudo-terminal."""
    asked, told = ROUND_BYTES
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)

    def take(fd: int, left: int) -> None:
        while left > 0:
            left -= len(os.read(fd, left))

    def echo() -> None:
        for _ in range(count):
            take(master, asked)
            os.write(master, bytes(told))

    thread = threading.Thread(target=echo)
    thread.start()
    found = times(lambda: (os.write(slave, bytes(asked)), take(slave, told)), count)
    thread.join()
    os.close(master)
    os.close(slave)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        legs = LegsConfig(Go1Address("127.0.0.1", port, "127.0.0.1", 0))
        config = LocoManConfig(legs, ServosConfig(port=str(Path(folder) / "servos")))
        ready, end = multiprocessing.Event(), multiprocessing.Event()
        process = multiprocessing.Process(target=emulate, args=(config, ready, end), daemon=True)
        process.start()
        ready.wait(30.0)
        rows = measure(config, given.seconds)
        end.set()
        process.join(10.0)
    report = {}
    print(f"{'microseconds':38}{'median':>10}{'p99':>10}{'largest':>10}{'number':>10}")
    for name, values in rows.items():
        numbers = 1e6 * np.array(values)
        median, tail, largest = float(np.median(numbers)), float(np.percentile(numbers, 99)), float(numbers.max())
        report[name] = [median, tail, largest, len(numbers)]
        print(f"{name:38}{median:10.0f}{tail:10.0f}{largest:10.0f}{len(numbers):10d}")
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=1))


def measure(config: LocoManConfig, seconds: float) -> dict[str, list[float]]:
    zero = np.zeros(MOTORS)
    packet = encode_state(LegState(1, zero, zero, zero))
    rows = {
        "encode a command to the legs": times(lambda: encode_command(limp()), 2000),
        "decode a state of the legs": times(lambda: decode_state(packet), 2000),
        "bare UDP, there and back": bare_udp(2000),
        "bare pseudo-terminal, there and back": bare_pty(2000),
    }
    line = ServoLine(SerialPort(config.servos.port), 1.0)
    right = ARM_SERVOS["right"]
    rows["four servos, one by one"] = times(lambda: line.read_present(right), 1000)
    rows["four servos, in one answer"] = times(lambda: line.read_present(right, fast=True), 1000)
    line.close()
    bus = LocoManBus(config, patience=10.0)
    bus.engage()
    servos = bus._servos
    assert servos is not None
    before = servos.rounds
    begin = time.monotonic()
    rows |= {f"{name}, 500 Hz": values for name, values in lead(bus, seconds).items()}
    rate = (servos.rounds - before) / (time.monotonic() - begin)
    last = bus.read()
    wrong = "nothing" if last is None or not last.faults else "; ".join(last.faults)
    print(f"rounds of eight servos: {rate:.0f} a second of {config.servos.rate_hz:.0f}; faults: {wrong}")
    bus.release()
    bus.close()
    return rows


if __name__ == "__main__":
    main()
