"""The robot node's loop: cost of a tick, jitter at 500 Hz, latency from observation to command at 50 Hz.

Every figure stands beside a bare one of the same run: a tick beside a bare read and write, the loop's deadlines beside
those of an empty loop, the latency beside that of two bare rclpy nodes that exchange the same messages meanwhile::

    python benchmarks/robot_loop.py
    python benchmarks/robot_loop.py --seconds 60 --json result.json

The bus gives back what it was told, so that no simulation disturbs the figures. Ticks are measured in CPU time, which
other processes disturb little; deadlines and latencies in wall time, which they do disturb.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.clock import MonotonicClock, SimulatedClock
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Observed
from robot_stack.hardware.realtime import LoopThread
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State

Row = dict[str, Any]


class EchoBus:
    """The joints are where they were told to be; everything else is as the simulated body's first state."""

    obeys = "full"

    def __init__(self, body: PlantBus, clock: Any) -> None:
        body.engage()
        first = body.read()
        assert first is not None
        self.joint_names, self.servo_hz = body.joint_names, body.servo_hz
        self.tracked = body.tracked
        self._clock, self._state = clock, first

    def open(self) -> None:
        """Nothing."""

    engage = release = close = open

    def read(self) -> BusState:
        """Fresh."""
        self._state = replace(self._state, time_s=self._clock.now(), sequence=self._state.sequence + 1)
        return self._state

    def write(self, command: JointCommand) -> None:
        """Followed at once."""
        if command.stiffness.any():
            self._state = replace(self._state, joint_position=command.position)


class Driver:
    """Answers every observation with a chunk that stays where the robot is."""

    def __init__(self, loop: RobotLoop) -> None:
        self.loop, self.beat = loop, 0
        self.last: np.ndarray | None = None
        robot = loop.parts.embodiment
        self.names, self.fingerprint, self.size = robot.action_names, robot.fingerprint(), robot.action_size
        self.offsets = np.arange(16) / robot.control_hz

    def answer(self) -> None:
        """Once a control period."""
        self.beat += 1
        self.loop.inputs.hear_deadman(True, self.beat)
        seen = next((r for r in reversed(self.loop.reports) if isinstance(r, Observed)), None)
        if seen is not None and self.last is not None:
            rows = np.tile(self.last, (16, 1))
            self.loop.inputs.hear_chunk(StampedChunk(seen.stamp_ns, self.names, rows, self.offsets, self.fingerprint))


def make_loop(robot: str, task: str, clock: Any) -> tuple[RobotLoop, EchoBus]:
    """A robot at 500 Hz with an echo for a body."""
    config = RobotNodeConfig(robot=robot, task=task, bus="direct", start="here", direct_servo_hz=500.0)
    parts = assemble(config, clock)
    assert isinstance(parts.bus, PlantBus)
    bus = EchoBus(parts.bus, clock)
    return RobotLoop(replace(parts, bus=bus, tracked=bus.tracked)), bus  # type: ignore[arg-type]


def arm(loop: RobotLoop, driver: Driver, tick: Callable[[int], None]) -> None:
    """To ``ARMED`` as an operator does."""
    loop.engage(loop.parts.bus.read().time_s)  # type: ignore[union-attr]
    tick(20)
    loop.inputs.ask(Event.READY)
    tick(600)
    driver.answer()
    loop.inputs.ask(Event.ARM)
    tick(1)
    assert loop.state is State.ARMED, loop.status(0.0)
    assert loop.driving is not None
    driver.last = loop.driving._last.copy()


def tick_cost(robot: str, task: str, seconds: float) -> Row:
    """CPU time of armed ticks in simulated time, beside a bare read and write."""
    clock = SimulatedClock(100.0)
    loop, bus = make_loop(robot, task, clock)
    driver = Driver(loop)

    def tick(count: int) -> None:
        for _ in range(count):
            loop.tick(clock.now())
            clock.sleep_until(clock.now() + loop.period_s)

    arm(loop, driver, tick)
    servo, control, bare = [], [], []
    every = loop.parts.ticks_per_control
    for number in range(round(seconds * 500)):
        if loop.counts.ticks % every == 0:
            driver.answer()
        begin = time.process_time_ns()
        loop.tick(clock.now())
        (control if (loop.counts.ticks - 1) % every == 0 else servo).append(time.process_time_ns() - begin)
        if number % 10 == 0:
            begin = time.process_time_ns()
            bus.read()
            assert loop.written is not None
            bus.write(loop.written)
            bare.append(time.process_time_ns() - begin)
        clock.sleep_until(clock.now() + loop.period_s)
    assert loop.state is State.ARMED, loop.latched
    return {
        "robot": f"{task}",
        "bare read and write [us]": shares(bare, 1e-3),
        "servo tick [us]": shares(servo, 1e-3),
        "control tick [us]": shares(control, 1e-3),
    }


class EmptyTicker:
    """Does nothing on time."""

    def __init__(self) -> None:
        self.lates: list[float] = []

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        """Note how late it is."""
        self.lates.append(late_s)

    def last_resort(self, error: Exception) -> None:
        """Cannot be."""
        raise error


class Timed(EmptyTicker):
    """Notes how late another one's ticks begin."""

    def __init__(self, loop: RobotLoop, driver: Driver) -> None:
        super().__init__()
        self.loop, self.driver = loop, driver

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        """As the loop's."""
        self.lates.append(late_s)
        if self.loop.counts.ticks % self.loop.parts.ticks_per_control == 0:
            self.driver.answer()
        self.loop.tick(now_s, late_s)


def jitter(seconds: float, priority: int) -> list[Row]:
    """How late 500 Hz deadlines are met, by an empty loop and by the robot's, in turn."""
    clock = MonotonicClock()
    loop, _ = make_loop("panda", "panda/drawer", clock)
    driver = Driver(loop)

    def tick(count: int) -> None:
        for _ in range(count):
            loop.tick(clock.now())
            clock.sleep_until(clock.now() + 0.0005)

    loop.parts = replace(loop.parts, config=replace(loop.parts.config, disarm_after_s=1e9, max_late_s=1e9))
    arm(loop, driver, tick)
    empty, timed = EmptyTicker(), Timed(loop, driver)
    for ticker in (empty, timed, empty, timed):
        thread = LoopThread(ticker, clock, 0.002, priority)
        thread.start()
        thread.call(lambda thread=thread: setattr(thread, "running", True), 10.0)
        time.sleep(seconds / 4)
        for note in thread.notes:
            print(note, file=sys.stderr)
        thread.end()
    return [
        {
            "loop": name,
            "late [ms]": shares(t.lates, 1e3),
            "overruns": sum(late > 0.002 for late in t.lates),
            "of": len(t.lates),
        }
        for name, t in (("empty", empty), ("robot", timed))
    ]


def bare_node() -> None:
    """A bare rclpy node: publishes stamped numbers at 50 Hz, and notes how long the answers take."""
    import rclpy
    from sensor_msgs.msg import JointState
    from trajectory_msgs.msg import JointTrajectory

    from robot_stack.hardware.ros.qos import reliable, set_stamp, stamp_ns

    rclpy.init()
    node = rclpy.create_node("bare", namespace="/bare")
    publisher = node.create_publisher(JointState, "observation", reliable(10))
    took: list[float] = []
    message = JointState(name=[f"n{i}" for i in range(40)], position=[0.0] * 40)

    def say() -> None:
        set_stamp(message.header, time.monotonic_ns())
        publisher.publish(message)

    def hear(answer: JointTrajectory) -> None:
        took.append((time.monotonic_ns() - stamp_ns(answer.header)) * 1e-9)

    node.create_subscription(JointTrajectory, "action_chunk", hear, reliable(2))
    node.create_timer(0.02, say)
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    sys.stdout.write(json.dumps(took[25:]) + "\n")


def latency(seconds: float, priority: int) -> list[Row]:
    """From an observation's stamp to the arrival of its chunk, through the chain and between bare nodes."""
    from lifecycle_msgs.srv import ChangeState
    from rcl_interfaces.msg import Log  # noqa: F401 - loads the messages' library before the clock runs
    from sensor_msgs.msg import JointState
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from robot_stack.hardware.ros.environment import ros_environment
    from robot_stack.hardware.ros.qos import newest, reliable
    from robot_stack.hardware.ros.robot_link import RobotLink

    domain = 20 + os.getpid() % 80
    os.environ.update(ros_environment(domain=domain, discovery="localhost"))
    folder = Path(tempfile.mkdtemp())
    parameters = {"robot": "panda", "task": "panda/drawer", "bus": "direct", "start": "here", "direct_servo_hz": 500.0}
    parameters |= {"max_late_s": 5.0, "disarm_after_s": 30.0, "deadman_timeout_s": 5.0, "priority": priority}
    (folder / "robot.yaml").write_text(json.dumps({"/panda/robot": {"ros__parameters": parameters}}))
    words = ["--ros-args", "-r", "__node:=robot", "-r", "__ns:=/panda", "--params-file", str(folder / "robot.yaml")]
    log = (folder / "robot.log").open("w")
    robot = subprocess.Popen([sys.executable, "-m", "robot_stack.deploy.robot_process", *words], stderr=log)
    bare = subprocess.Popen([sys.executable, __file__, "--bare", str(seconds + 20)], stdout=subprocess.PIPE, text=True)
    link = RobotLink("/panda", domain, 120.0)
    try:
        for transition in (1, 3):
            request = ChangeState.Request()
            request.transition.id = transition
            if not link.ask("robot/change_state", ChangeState, request).success:
                sys.exit((folder / "robot.log").read_text())
        fingerprint, size = link.embodiment().fingerprint(), link.embodiment().action_size
        names, hold = list(link.embodiment().action_names), threading.Event()

        def answers(publisher: Any, names: list[str], count: int) -> Callable[[JointState], None]:
            points = [JointTrajectoryPoint(positions=[0.0] * count) for _ in range(16)]
            for step, point in enumerate(points):
                point.time_from_start.nanosec = step * 20_000_000
            chunk = JointTrajectory(joint_names=names, points=points)

            def answer(message: JointState) -> None:
                chunk.header.stamp, chunk.header.frame_id = message.header.stamp, fingerprint
                if publisher is not bare_chunks:  # stay: the joints and an open gripper
                    for point in points:
                        point.positions = [*message.position[: count - 1], 0.5]
                publisher.publish(chunk)

            return answer

        bare_chunks = link.node.create_publisher(JointTrajectory, "/bare/action_chunk", reliable(1))
        chunks = link.node.create_publisher(JointTrajectory, "action_chunk", reliable(1))
        link.node.create_subscription(JointState, "observation", answers(chunks, names, size), newest())
        link.node.create_subscription(JointState, "/bare/observation", answers(bare_chunks, names, size), newest())
        link.must("ready")
        link.wait_state("HOLD")
        link.holds_deadman = True
        link.wait(lambda: True if _status(link, "deadman") == "True" else None)
        link.must("arm")
        hold.wait(seconds)
        told = {key: _status(link, key) for key in ("state", "latency_ms", "latency_p99_ms", "late_ms", "late_p99_ms")}
        told |= {key: _status(link, key) for key in ("overruns", "ticks", "chunks_accepted", "last_refusal")}
    finally:
        link.close()
        robot.terminate()
        robot.wait(30)
    took = json.loads(bare.communicate(timeout=120)[0])
    return [{"chain": "bare rclpy", "latency [ms]": shares(took, 1e3)}, {"chain": "robot node", **told}]


def _status(link: Any, key: str) -> str:
    message = link.newest("status")
    return "" if message is None else next((v.value for v in message.values if v.key == key), "")


def shares(values: list[Any], scale: float) -> str:
    """Median, 99th percentile and largest."""
    each = np.array(values, dtype=np.float64) * scale
    return f"{np.median(each):.3g} / {np.quantile(each, 0.99):.3g} / {each.max():.3g}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--priority", type=int, default=0, help="of SCHED_FIFO, measured besides")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    rows: dict[str, Any] = {"load": os.getloadavg()[0], "shown": "median / 99 % / largest"}
    rows["tick"] = [tick_cost("panda", "panda/drawer", arguments.seconds / 2), tick_cost("g1", "g1/button", 4.0)]
    rows["jitter"] = jitter(arguments.seconds, 0)
    if arguments.priority:
        rows["jitter, SCHED_FIFO"] = jitter(arguments.seconds, arguments.priority)
    rows["latency"] = latency(arguments.seconds, arguments.priority)
    text = json.dumps(rows, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare_node()
    else:
        main()
