"""Policy servers as child processes of an engine: blind trials run every policy in a process of the same kind.

A child listens on loopback with a random port and token, ends with its parent, and is known to nobody else. Messages
call all of them the same, so that no error tells which policy it was.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from robot_stack.core.action import ActionChunk
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.runtime.policy_client import PolicyServerError, RemoteBatchDriver, ServerAddress, Timeouts
from robot_stack.runtime.policy_connection import error_of
from robot_stack.runtime.processes import Child
from robot_stack.runtime.served_policy import ServedPolicy
from robot_stack.runtime.wire import Refusal, decode, encode, refusal_of

LABEL = "the policy's process"
"""What messages call every one of them."""

PATIENT = Timeouts(connect_s=30.0, reset_s=120.0, act_s=120.0)
"""An engine's robot is watched, and stopped by who watches; a slow first decision is no reason to lose a trial."""


class PolicyProcess:
    """A policy server in a child process; it begins to load at once.

    Args:
        make: makes the policy, in the child; must be picklable.
        timeout_s: how long that may take.
    """

    def __init__(self, make: Callable[[], ServedPolicy], timeout_s: float = 300.0) -> None:
        self._make, self._timeout_s = make, timeout_s
        self._address: ServerAddress | None = None
        self._waited = False
        self._lock = threading.Lock()
        self._start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.process.is_alive()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.process.pid or 0

    def address(self) -> ServerAddress:
        """Where it is reached, once it is ready; a process that has died since it was last asked for is started again.

        Raises:
            PolicyServerError: if it died while it loaded, or was not ready in time; the next call starts another.
            RobotStackError: why the policy cannot be loaded.
        """
        with self._lock:
            if self._waited and not self.alive:
                self.close()
                self._start()
            if self._address is None:
                self._waited = True
                self._address = self._wait()
            return self._address

    def close(self) -> None:
        """End the process; idempotent."""
        self._child.close(grace_s=1.0)

    def _start(self) -> None:
        self._address, self._waited = None, False
        self._token = secrets.token_urlsafe(16)
        self._child = Child(_serve, self._make, self._token, name="policy")

    def _wait(self) -> ServerAddress:
        try:
            if not self._child.connection.poll(self._timeout_s):
                raise PolicyServerError("a policy was not ready in time", got=f"nothing after {self._timeout_s:g} s")
            port, problem = self._child.connection.recv()
        except (EOFError, OSError) as error:
            raise PolicyServerError("a policy's process ended while it loaded", got=self._child.death()) from error
        refusal = decode(problem) if problem else None
        if isinstance(refusal, Refusal):
            raise error_of(refusal)
        return ServerAddress(f"ws://127.0.0.1:{port}", self._token, LABEL)


class ProcessDriver:
    """A :class:`robot_stack.core.driver.BatchDriver` over a :class:`PolicyProcess`.

    A process that died is started again when the next episode begins, never within one: episodes that were under way
    break off.

    Args:
        process: where the policy is.
        robot: who is driven.
        timeouts: how long to wait.

    Raises:
        RobotStackError: why the policy cannot be loaded, or may not drive this robot.
    """

    def __init__(self, process: PolicyProcess, robot: Embodiment, timeouts: Timeouts = PATIENT) -> None:
        self.process, self.robot, self.timeouts = process, robot, timeouts
        self._lock = threading.Lock()
        self._remote = RemoteBatchDriver(process.address(), robot, timeouts)

    @property
    def connected(self) -> bool:
        """Whether the process is there and can be asked."""
        return self.process.alive and self._remote.connected

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self._remote.history

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``; on a new process or connection if need be."""
        self.connect()
        self._remote.reset(slot, instruction, seed)

    def connect(self) -> None:
        """Start the process again if it has died, and connect to it; nothing if all is well.

        Raises:
            RobotStackError: as when it was made.
        """
        with self._lock:
            address = self.process.address()
            if not self._remote.connected or self._remote.address != address:
                self._remote.close()
                self._remote = RemoteBatchDriver(address, self.robot, self.timeouts)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Decide the next actions of several episodes."""
        return self._remote.act(slots, histories)

    @property
    def continues(self) -> bool:
        """Whether plans are held to running ones."""
        return self._remote.continues

    def plan(
        self, slots: Sequence[int], histories: Sequence[Sequence[Observation]], running: Sequence[RunningPlan]
    ) -> list[ActionChunk]:
        """Decide as far ahead as the policy plans."""
        return self._remote.plan(slots, histories, running)

    def close(self) -> None:
        """Leave the process; it goes on."""
        self._remote.close()


def _serve(pipe: Connection, make: Callable[[], ServedPolicy], token: str) -> None:
    """In the child: serve until the parent closes the pipe."""
    from robot_stack.runtime.listening import open_socket
    from robot_stack.runtime.policy_server import PolicyServer

    try:
        server = PolicyServer(make(), token, open_socket("127.0.0.1", 0))
    except Exception as error:
        pipe.send((0, encode(refusal_of(error))))
        return
    port = server.listener.getsockname()[1]

    def watch() -> None:
        try:
            pipe.recv_bytes()
        except (EOFError, OSError):
            server.stop()

    def started() -> None:
        threading.Thread(target=watch, name="end-with-pipe", daemon=True).start()
        pipe.send((port, b""))

    server.run(started)
