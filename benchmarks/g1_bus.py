"""The G1's bus: what a state and a command cost, and what 500 Hz over rclpy loses, as bytes and as message objects.

A second process plays the robot: it publishes ``LowState`` at 500 Hz and counts ``LowCmd``. All ways of reading it are
measured one after the other in one run, the message objects of ordinary ROS programs being the baseline::

    python benchmarks/g1_bus.py
    python benchmarks/g1_bus.py --seconds 20 --json result.json

Costs are CPU time of the thread, which other processes disturb little; ages and losses are wall time, which they do.
Sender and reader share the machine: on a robot the sender is elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.clock import MonotonicClock
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.ros.environment import ros_environment
from robot_stack.hardware.ros.generate.messages import messages
from robot_stack.hardware.unitree_g1.command import CommandWriter
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.crc import crc32_bit_by_bit, crc32_words
from robot_stack.hardware.unitree_g1.layout import LOW_STATE, STATE, checksum
from robot_stack.hardware.unitree_g1.raw_topics import RawReader, RosContext, raw_writer
from robot_stack.hardware.unitree_g1.reader import StateReader
from robot_stack.hardware.unitree_g1.stance import STANCE_DAMPING, STANCE_STIFFNESS

HZ = 500.0
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of every way of reading")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--robot", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.robot:
        return play_robot()
    os.environ.update(ros_environment(domain=20 + os.getpid() % 80, discovery="localhost"))
    rows = costs()
    robot = subprocess.Popen([sys.executable, __file__, "--robot"], env=dict(os.environ))
    try:
        rows += [measure(name, way, given.seconds) for name, way in WAYS.items()]
    finally:
        robot.terminate()
        robot.wait()
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


def state_of(tick: int, commands: int) -> bytes:
    """A state that says when it was made, and how many commands came, where the robot has nothing."""
    record = np.zeros((), LOW_STATE)
    record["tick"], record["mode_machine"] = tick, 5
    record["imu_state"]["quaternion"] = (1.0, 0.0, 0.0, 0.0)
    now = time.monotonic_ns()
    record["reserve"] = now & 0xFFFFFFFF, now >> 32, commands, 0
    record["crc"] = checksum(record)
    return STATE.write(record)


def command() -> JointCommand:
    zero = np.zeros(29)
    return JointCommand(zero, zero, zero, STANCE_STIFFNESS, STANCE_DAMPING)


def play_robot() -> None:
    """States at 500 Hz, for ever."""
    hg = messages("unitree_hg").msg
    context = RosContext("robot", None)
    states, commands = raw_writer(context, hg.LowState, "/lowstate"), RawReader(context, hg.LowCmd, "/lowcmd", 50)
    clock, tick, count = MonotonicClock(), 0, 0
    due = clock.now()
    while True:
        tick += 1
        due = max(due + 1.0 / HZ, clock.now() - 0.1)
        clock.sleep_until(due)
        count += len(commands.take())
        states.publish(state_of(tick, count))


def costs() -> list[Row]:
    """Without ROS: bytes to a judged state, a command to bytes, checksums."""
    reader, writer, order = StateReader(G1Config()), CommandWriter(), command()
    made = [state_of(tick, 0) for tick in range(1, 2001)]
    ticks = iter(range(len(made)))
    data = np.zeros((), LOW_STATE).tobytes()[:-4]

    def read() -> None:
        i = next(ticks)
        reader.take(made[i], 0.002 * i)

    rows = [
        row("state: bytes to a judged BusState", each_us(read, 2000)),
        row("command: JointCommand to bytes", each_us(lambda: writer.write(order, 5), 2000)),
        row("checksum of a state", each_us(lambda: crc32_words(data), 2000)),
        row("checksum of a state, bit by bit", each_us(lambda: crc32_bit_by_bit(data), 5)),
    ]
    from rclpy.serialization import deserialize_message, serialize_message

    hg = messages("unitree_hg").msg
    message = deserialize_message(made[0], hg.LowState)
    rows.append(
        row("baseline: rclpy bytes to message", each_us(lambda: deserialize_message(made[0], hg.LowState), 300))
    )
    low = hg.LowCmd()
    rows.append(row("baseline: rclpy message to bytes", each_us(lambda: serialize_message(low), 300)))
    rows.append(row("baseline: 29 positions out of a message", each_us(lambda: positions(message), 300)))
    return rows


def positions(message: Any) -> np.ndarray:
    return np.array([motor.q for motor in message.motor_state[:29]])


def each_us(do: Callable[[], Any], times: int) -> float:
    do_first = min(times // 10, 20)
    for _ in range(do_first):
        do()
    begin = time.thread_time()
    for _ in range(times - do_first):
        do()
    return (time.thread_time() - begin) / (times - do_first) * 1e6


def row(name: str, cost_us: float) -> Row:
    return {"what": f"{name:45}", "cpu_us": round(cost_us, 1)}


class Tally:
    """What came of the states."""

    def __init__(self) -> None:
        self.ticks: list[int] = []
        self.ages_ms: list[float] = []
        self.commands: list[int] = []

    def note(self, tick: int, reserve: Any) -> None:
        self.ticks.append(tick)
        self.ages_ms.append((time.monotonic_ns() - (int(reserve[0]) | int(reserve[1]) << 32)) / 1e6)
        self.commands.append(int(reserve[2]))


def polled(context: RosContext, tally: Tally, raw: bool) -> Callable[[], None]:
    """Read in the loop: what the bus does, with bytes; with messages, what it would do otherwise."""
    reader = RawReader(context, messages("unitree_hg").msg.LowState, "/lowstate", 4, raw=raw)
    judge = StateReader(G1Config())

    def look() -> None:
        for came in reader.take():
            if raw:
                judge.take(came, time.monotonic())
                record = STATE.read(came)
                tally.note(int(record["tick"]), record["reserve"])
            else:
                positions(came)
                tally.note(came.tick, came.reserve)

    return look


def spun(context: RosContext, tally: Tally) -> Callable[[], None]:
    """Message objects in the callback of an executor in another thread, as ROS programs usually do."""
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    def arrived(message: Any) -> None:
        positions(message)
        tally.note(message.tick, message.reserve)

    context.node.create_subscription(messages("unitree_hg").msg.LowState, "/lowstate", arrived, 10)
    executor = SingleThreadedExecutor(context=context.context)
    executor.add_node(context.node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    threading.Thread(target=spin, daemon=True).start()
    return lambda: None


WAYS: dict[str, tuple[Callable[..., Any], bool]] = {
    "bytes, polled in the loop": (lambda c, t: polled(c, t, True), True),
    "baseline: messages, polled in the loop": (lambda c, t: polled(c, t, False), False),
    "baseline: messages, executor in a thread": (spun, False),
}
"""How states are read, and whether commands are bytes."""


def measure(name: str, way: tuple[Callable[..., Any], bool], seconds: float) -> Row:
    """A 500 Hz loop that reads and commands."""
    hg, clock = messages("unitree_hg").msg, MonotonicClock()
    context, tally = RosContext("bench", None), Tally()
    look, publisher = way[0](context, tally), raw_writer(context, hg.LowCmd, "/lowcmd")
    writer, order, sent, late = CommandWriter(), command(), 0, []
    end = clock.now() + 20.0
    while not tally.ticks and clock.now() < end:
        look()
        clock.sleep_until(clock.now() + 0.01)
    clock.sleep_until(clock.now() + 1.0)
    for kept in (tally.ticks, tally.ages_ms, tally.commands):
        kept.clear()
    begin, cpu, whole = clock.now(), time.thread_time(), time.process_time()
    for tick in range(round(seconds * HZ)):
        clock.sleep_until(begin + tick / HZ)
        late.append(clock.now() - begin - tick / HZ)
        look()
        publisher.publish(writer.write(order, 5) if way[1] else filled(hg, order))
        sent += 1
    cpu, whole = time.thread_time() - cpu, time.process_time() - whole
    took = clock.now() - begin
    made, got = tally.ticks[-1] - tally.ticks[0] + 1, len(set(tally.ticks))
    heard = tally.commands[-1] - tally.commands[0]
    context.close()
    return {
        "what": f"{name:45}",
        "loop_hz": round(sent / took),
        "cpu_us": round(cpu / sent * 1e6),
        "process_cpu_us": round(whole / sent * 1e6),
        "late_ms_p99": round(float(np.percentile(late, 99)) * 1e3, 2),
        "age_ms_p50": round(float(np.percentile(tally.ages_ms, 50)), 2),
        "age_ms_p99": round(float(np.percentile(tally.ages_ms, 99)), 2),
        "states_lost_percent": round(100.0 * (1.0 - got / made), 2),
        "commands_heard": heard,
        "commands_sent": sent,
    }


def filled(hg: Any, order: JointCommand) -> Any:
    """A message object, filled as ROS programs do; its checksum left out."""
    message = hg.LowCmd(mode_machine=5)
    for i in range(29):
        motor = message.motor_cmd[i]
        motor.mode, motor.q, motor.dq, motor.tau = 1, order.position[i], order.velocity[i], order.effort[i]
        motor.kp, motor.kd = order.stiffness[i], order.damping[i]
    return message


if __name__ == "__main__":
    main()
