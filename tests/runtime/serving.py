"""Policy servers for tests: in this process, and in processes of their own that can be killed and stopped."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence

from robot_stack.core.action import ActionChunk
from robot_stack.core.observation import Observation
from robot_stack.runtime.listening import open_socket
from robot_stack.runtime.policy_client import ServerAddress
from robot_stack.runtime.policy_process import PolicyProcess
from robot_stack.runtime.policy_server import PolicyServer, ServerConfig
from robot_stack.runtime.served_policy import ServedPolicy
from tests.worlds import PointBatchDriver, PointConfig, PointRobot

TOKEN = "a-token-of-tests"
ROBOT = PointRobot(PointConfig()).embodiment
SEEING = PointRobot(PointConfig(camera=16)).embodiment


def observations(seed: int, count: int = 2, robot: PointRobot | None = None) -> list[Observation]:
    """The first ones of an episode."""
    made = robot or PointRobot(PointConfig())
    return [made.reset(seed), *(made.observe() for _ in range(count - 1))]


class Gate(PointBatchDriver):
    """Thinks until it is let go; tells that it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        self.begun.release()
        assert self.go.acquire(timeout=30)
        return super().act(slots, histories)


def point_policy(**options) -> ServedPolicy:
    """Importable in a child process."""
    return ServedPolicy("point", PointBatchDriver(**options), ROBOT)


@contextlib.contextmanager
def served(
    policy: ServedPolicy, config: ServerConfig | None = None, port: int = 0, token: str = TOKEN
) -> Iterator[ServerAddress]:
    """A server in a thread of this process; at a port of its own unless one is named."""
    server = PolicyServer(policy, token, open_socket("127.0.0.1", port), config)
    ready = threading.Event()
    port = server.listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield ServerAddress(f"ws://127.0.0.1:{port}", token)
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive(), "the server does not stop"


@contextlib.contextmanager
def in_a_process(make: Callable[[], ServedPolicy] | None = None) -> Iterator[PolicyProcess]:
    """A server in a process of its own, ready."""
    process = PolicyProcess(make or functools.partial(point_policy))
    try:
        process.address()
        yield process
    finally:
        process.close()
