"""A real ROS context for tests: nodes of this process, spun in a thread, processes of the deployment, waits."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.config_json import canonical_json, to_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.introduction import Introduction
from robot_stack.deploy.ros_node import latched, reliable, set_stamp
from robot_stack.hardware.ros.environment import ros_environment

NAMESPACE = "/bench"
DOMAIN = 20 + os.getpid() % 80
LONG_S = 90.0
"""A machine that others use takes its time to import ROS; nothing waits longer than it has to [s]."""


class Bench:
    """Nodes in this process, and what they heard."""

    def __init__(self) -> None:
        rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.changed = threading.Condition()
        self.heard: defaultdict[str, list[Any]] = defaultdict(list)
        self.processes: list[subprocess.Popen[str]] = []
        self._nodes: list[Any] = []
        self.node = self.make_node("bench")
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def make_node(self, name: str, parameters: Mapping[str, Any] | None = None) -> Any:
        import rclpy
        from rclpy.parameter import Parameter

        given = [Parameter(key, value=value) for key, value in (parameters or {}).items()]
        node = rclpy.create_node(name, context=self.context, namespace=NAMESPACE, parameter_overrides=given)
        self.executor.add_node(node)
        self._nodes.append(node)
        return node

    def listen(self, kind: Any, topic: str, quality: Any) -> None:
        def arrived(message: Any) -> None:
            with self.changed:
                self.heard[topic].append(message)
                self.changed.notify_all()

        self.node.create_subscription(kind, topic, arrived, quality)

    def until(self, true: Callable[[], Any], what: str = "it", poll_s: float = 0.2) -> Any:
        """Wait for what messages bring about; looked at again with each message, and now and then."""
        with self.changed:
            found: list[Any] = []

            def look() -> bool:
                found[:] = [true()]
                return bool(found[0])

            for _ in range(int(LONG_S / poll_s)):
                if self.changed.wait_for(look, poll_s):
                    return found[0]
        raise AssertionError(f"{what} never came to be; processes said:\n{self.said()}")

    def waits(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it comes true within a time; whoever holds :attr:`changed` lets messages in meanwhile."""
        end = time.monotonic() + timeout_s
        with self.changed:
            while not true() and time.monotonic() < end:
                self.changed.wait(0.01)
        return true()

    def call(self, node: str, service: str, kind: Any = None, request: Any = None) -> Any:
        """Call a service of a node and wait for the answer; a Trigger unless said otherwise."""
        from std_srvs.srv import Trigger

        kind = kind or Trigger
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(LONG_S), f"no service {service}; processes said:\n{self.said()}"
        introduction = Introduction(self.node, node)
        assert introduction.made(LONG_S, self.waits), f"{node} does not answer; processes said:\n{self.said()}"
        future = client.call_async(request or kind.Request())
        try:
            return self.until(lambda: future.done() and future.result(), f"an answer of {service}")
        finally:
            introduction.close()
            self.node.destroy_client(client)

    def start(self, module: str, node: str, parameters: Mapping[str, Any], folder: Path) -> subprocess.Popen[str]:
        """A process of the deployment, started as the plan does."""
        file = folder / f"{node}_{len(self.processes)}.yaml"
        inside = {f"{NAMESPACE}/{node}": {"ros__parameters": dict(parameters)}}
        file.write_text(canonical_json(inside))  # JSON is YAML
        log = (folder / f"{node}_{len(self.processes)}.log").open("w+")
        names = ["-r", f"__node:={node}", "-r", f"__ns:={NAMESPACE}", "--params-file", str(file)]
        process = subprocess.Popen(
            [sys.executable, "-m", f"robot_stack.deploy.{module}", "--ros-args", *names],
            env=ros_environment(domain=DOMAIN, discovery="localhost"),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        process.log = log  # type: ignore[attr-defined]
        self.processes.append(process)
        return process

    def said(self) -> str:
        """What the processes printed."""
        out = ""
        for process in self.processes:
            log = process.log  # type: ignore[attr-defined]
            log.seek(0)
            out += f"[{process.args[2]}, code {process.poll()}] {log.read()[-3000:]}\n"  # type: ignore[index]
        return out

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.log.close()  # type: ignore[attr-defined]
        self.context.try_shutdown()
        self._thread.join(20)
        for node in self._nodes:  # else the next test finds them still, as drivers for instance
            node.destroy_node()

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        from robot_stack.deploy.ros_node import Finished

        while self.context.ok():
            try:
                with contextlib.suppress(ExternalShutdownException, Finished):
                    self.executor.spin()
            except RuntimeError:
                if self.context.ok():  # otherwise a callback published after the end
                    raise


class StandIn:
    """Says what a robot node says: embodiment, state, observations; stamped by a clock of its own."""

    def __init__(self, bench: Bench, robot: Embodiment, start_ns: int = 10_000_000_000_000_123) -> None:
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String

        self.bench, self.robot, self.now_ns, self.tick = bench, robot, start_ns, 0
        self.period_ns = round(1e9 / robot.control_hz)
        node = bench.node
        self._embodiment = node.create_publisher(String, "embodiment", latched())
        self._state = node.create_publisher(String, "state", latched())
        self._vectors = {
            n: node.create_publisher(JointState, n, reliable(10)) for n in ("observation", "asked", "sent")
        }
        self._embodiment.publish(String(data=canonical_json(to_plain(robot))))
        self.say("IDLE")

    def say(self, state: str) -> None:
        from std_msgs.msg import String

        self._state.publish(String(data=state))

    def vector(self, topic: str, names: tuple[str, ...], numbers: np.ndarray, stamp_ns: int) -> None:
        from sensor_msgs.msg import JointState

        message = JointState(name=list(names), position=np.asarray(numbers, float).tolist())
        set_stamp(message.header, stamp_ns)
        self._vectors[topic].publish(message)

    def observe(self) -> int:
        """One control tick; returns its stamp."""
        self.now_ns += self.period_ns
        self.tick += 1
        state = np.zeros(self.robot.state_size)
        state[0] = self.tick
        self.vector("observation", self.robot.state_names, state, self.now_ns)
        return self.now_ns


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A domain of this test process alone; ends every process that was started."""
    pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")
    for name, value in ros_environment(domain=DOMAIN, discovery="localhost").items():
        monkeypatch.setenv(name, value)
    made = Bench()
    yield made
    made.close()
