"""One connection to a policy server: questions and answers, time-outs, and errors that say what is wrong."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import (
    ConfigError,
    EmbodimentMismatchError,
    MissingExtraError,
    NonFiniteError,
    RobotStackError,
    ShapeError,
)
from robot_stack.runtime.wire import (
    VERSION,
    VERSIONS,
    Act,
    Decided,
    Hello,
    Message,
    Ready,
    Refusal,
    Reset,
    Welcome,
    decode,
    encode,
)
from robot_stack.runtime.wire_values import WireError

try:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    from websockets.protocol import State
    from websockets.sync.client import connect
except ImportError as error:
    raise MissingExtraError("a policy in another process", extra="serve", package="websockets") from error

TOO_BIG = 1009
"""Code with which websockets close a connection after too long a message."""

Answer = TypeVar("Answer", Ready, Decided)


class PolicyServerError(RobotStackError):
    """The policy server is not there, not there any more, too slow, or does not let this client in."""


@dataclass(frozen=True)
class ServerAddress:
    """Where a policy server is."""

    url: str
    """``ws://host:port``, or ``wss://`` behind a proxy that encrypts."""

    token: str = field(repr=False)
    """Who has it may ask."""

    label: str = ""
    """What messages call it instead of its address, where an address would tell too much (blind trials)."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ConfigError("this is no address of a policy server", got=self.url, expected="ws://host:port")

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.label or self.url

    @property
    def host_and_port(self) -> tuple[str, int]:
        """What to connect to."""
        parts = urlsplit(self.url)
        return str(parts.hostname), parts.port or (443 if parts.scheme == "wss" else 80)


@dataclass(frozen=True)
class Timeouts:
    """How long a client waits."""

    connect_s: float = 10.0
    """For the server to take it [s]."""

    reset_s: float = 30.0
    """For an episode to begin; a new instruction may load a text encoder [s]."""

    act_s: float = 10.0
    """For a decision [s]."""


@dataclass(frozen=True)
class RequestTiming:
    """Where the time of one question went."""

    round_trip_s: float
    """From asking to having the answer [s]."""

    queue_s: float
    """Waiting at the server for others [s]."""

    work_s: float
    """The policy at work, for the whole batch [s]."""

    batch: int
    """Episodes decided together."""

    @property
    def travel_s(self) -> float:
        """The rest: writing, sending, reading [s]."""
        return self.round_trip_s - self.queue_s - self.work_s


class _OlderServer(Exception):
    """It does not know this version of the protocol, but an older one."""


class PolicyConnection:
    """A connection that was welcomed.

    Args:
        address: where the server is.
        robot: who is driven.
        timeouts: how long to wait.

    Raises:
        PolicyServerError: if there is no server, or it does not let this client in.
        WireError: if it speaks another version.
        EmbodimentMismatchError: if the policy is for another robot.
    """

    def __init__(self, address: ServerAddress, robot: Embodiment, timeouts: Timeouts) -> None:
        self.address = address
        self.timing: RequestTiming | None = None
        self._lock = threading.Lock()
        self._last_id = 0
        self._broken = ""
        self.welcome = self._enter(robot, timeouts, VERSION)

    @property
    def usable(self) -> bool:
        """Whether questions can be asked; a server that went away is noticed without asking."""
        return not self._broken and self._connection.protocol.state is State.OPEN

    def ask(self, question: Callable[[int], Reset | Act], kind: type[Answer], timeout_s: float) -> Answer:
        """Ask and wait for the answer.

        Args:
            question: makes it, given its number.
            kind: what the answer must be.
            timeout_s: how long to wait; after it the connection is of no use any more.

        Raises:
            PolicyServerError: if no answer came.
            RobotStackError: what the server said against it.
        """
        with self._lock:
            if self._broken:
                raise self._problem(
                    f"not connected: {self._broken}", remedy="connect again, and begin the episode anew"
                )
            self._last_id += 1
            message = encode(question(self._last_id), self.welcome.max_bytes)
            began = time.perf_counter()
            try:
                answer = self._exchange(message, timeout_s)
                if not isinstance(answer, (kind, Refusal)) or answer.id != self._last_id:
                    raise self._problem("the policy server answered something else than what was asked")
            except BaseException as error:  # an interrupt as well: the answer is still on its way
                self._give_up(str(error).partition("\n")[0] or type(error).__name__)
                raise
            if isinstance(answer, Refusal):
                raise error_of(answer)
            batch = answer.batch if isinstance(answer, Decided) else 1
            self.timing = RequestTiming(time.perf_counter() - began, answer.queue_s, answer.work_s, batch)
            return answer

    def close(self) -> None:
        """Leave; idempotent."""
        if not self._broken:
            self._broken = "the connection was closed"
            self._connection.close()
        self._socket.close()

    def _enter(self, robot: Embodiment, timeouts: Timeouts, version: int) -> Welcome:
        self._socket = self._reach(timeouts)
        try:
            self._connection = self._open(timeouts.connect_s)
            return self._greet(Hello(robot, version), timeouts.connect_s)
        except _OlderServer:
            self._socket.close()
            return self._enter(robot, timeouts, version - 1)
        except BaseException:
            self._socket.close()
            raise

    def _reach(self, timeouts: Timeouts) -> socket.socket:
        try:
            reached = socket.create_connection(self.address.host_and_port, timeouts.connect_s)
        except OSError as error:
            raise self._problem(
                "no policy server can be reached", got=str(error), remedy="start one: robot-stack serve BUNDLE"
            ) from error
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reached.settimeout(None)
        # A server that stands still takes no bytes either: sending must end as well as waiting for the answer does.
        reached.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", math.ceil(timeouts.act_s), 0))
        return reached

    def _open(self, timeout_s: float):  # noqa: ANN202 - the class moved between versions of websockets
        headers = {"Authorization": f"Bearer {self.address.token}"}
        try:
            opening = connect(
                self.address.url,
                sock=self._socket,
                additional_headers=headers,
                compression=None,
                proxy=None,
                open_timeout=timeout_s,
                close_timeout=2.0,
                max_size=None,  # the server is trusted with the robot
            )
            return contextlib.ExitStack().enter_context(opening)  # left by close(), which need not wait for it
        except InvalidStatus as error:
            status = error.response.status_code
            if status == 401:
                raise self._problem(
                    "the policy server does not take this token", remedy="use the token that it printed or stored"
                ) from error
            if status == 503:
                raise self._problem("the policy server has no room for another client") from error
            raise self._problem("this is no policy server", got=f"HTTP status {status}") from error
        except (InvalidHandshake, OSError, EOFError, ValueError) as error:
            late = isinstance(error, TimeoutError)
            what = "the policy server does not answer" if late else "what is at this address is no policy server"
            raise self._problem(what, got=f"{type(error).__name__}: {error}") from error

    def _greet(self, hello: Hello, timeout_s: float) -> Welcome:
        answer = self._exchange(encode(hello), timeout_s)
        if isinstance(answer, Refusal):
            older = [f"version {version}" for version in VERSIONS if version < hello.version]
            if answer.kind == WireError.__name__ and answer.expected in older:
                raise _OlderServer
            raise error_of(answer)
        if not isinstance(answer, Welcome):
            raise self._problem("what is at this address is no policy server", got=type(answer).__name__)
        return answer

    def _exchange(self, message: bytes, timeout_s: float) -> Message:
        try:
            self._connection.send(message)
            return decode(self._connection.recv(timeout=timeout_s), max_bytes=2**40)
        except TimeoutError as error:
            raise self._problem(
                "the policy server did not answer in time",
                got=f"nothing after {timeout_s:g} s",
                remedy="a decision that comes late is not acted on; connect again, and begin the episode anew",
            ) from error
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == TOO_BIG:
                raise self._problem(
                    "a message was too long for the policy server", got=f"{len(message)} bytes"
                ) from error
            raise self._problem("the policy server is gone", got=str(error)) from error
        except OSError as error:
            raise self._problem("the policy server is gone", got=str(error)) from error

    def _give_up(self, reason: str) -> None:
        """End the connection at once, without a farewell that nobody may answer."""
        self._broken = reason
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._connection.close()
        self._socket.close()

    def _problem(self, message: str, *, got: object = None, remedy: str | None = None) -> PolicyServerError:
        return PolicyServerError(message, where=self.address.shown, got=got, remedy=remedy)


_KINDS: dict[str, type[RobotStackError]] = {
    kind.__name__: kind for kind in (ConfigError, ShapeError, NonFiniteError, WireError)
}


def error_of(refusal: Refusal) -> RobotStackError:
    """The error in a refusal, of its own class where the client knows it."""
    if refusal.kind == EmbodimentMismatchError.__name__:
        return EmbodimentMismatchError(refusal.message, refusal.differences, where=refusal.where or None)
    kind = _KINDS.get(refusal.kind, PolicyServerError)
    told = {name: getattr(refusal, name) or None for name in ("where", "got", "expected", "remedy")}
    return kind(refusal.message, **told)
