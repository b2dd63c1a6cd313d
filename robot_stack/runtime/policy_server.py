"""Serves a policy to robots over websockets: many clients at once, each with its own episodes and noise.

One thread talks (asyncio), another thinks (:class:`robot_stack.runtime.decider.Decider`), so that pings and the health
check are answered while a policy thinks. A client has one question under way at a time; questions of several clients
that wait together are decided in one batch. A client that vanishes takes its questions and episodes with it.

Who asks needs the token, in the header ``Authorization: Bearer …`` of the first request: browsers cannot be made to
send it from another site. ``GET /healthz`` answers without one, and says no more than ``ok``.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus

from robot_stack.core.errors import ConfigError, MissingExtraError, RobotStackError
from robot_stack.runtime.decider import Decider, Decision, no_slot_free
from robot_stack.runtime.served_policy import ServedPolicy
from robot_stack.runtime.wire import (
    MAX_BYTES,
    Act,
    Decided,
    Hello,
    Message,
    Ready,
    Reset,
    Welcome,
    decode,
    encode,
    refusal_of,
)
from robot_stack.runtime.wire_values import WireError

try:
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request, Response
except ImportError as error:
    raise MissingExtraError("a policy server", extra="serve", package="websockets") from error

HEALTH = "/healthz"
"""Path of the health check."""

SHORTEST_TOKEN = 8
"""Shorter ones can be guessed [characters]."""

_POLICY_VIOLATION = 1008

_LOGGER = logging.getLogger("robot_stack.policy_server")
_LOGGER.addHandler(logging.NullHandler())  # what a stranger sends is written nowhere, unless somebody asks for it


@dataclass(frozen=True)
class ServerConfig:
    """What a server takes."""

    max_clients: int = 16
    """Clients at once."""

    max_slots: int = 64
    """Episodes at once, of all clients together."""

    max_bytes: int = MAX_BYTES
    """Longest message from a client [byte]."""

    hello_timeout_s: float = 10.0
    """A client that has not said who it is after so long is let go [s]."""

    def __post_init__(self) -> None:
        if min(self.max_clients, self.max_slots, self.max_bytes) < 1 or not self.hello_timeout_s > 0:
            raise ConfigError("a policy server takes at least one of everything", got=self)


class PolicyServer:
    """See the module.

    Args:
        policy: what is served.
        token: who has it may ask.
        listener: listening socket, see :func:`robot_stack.runtime.listening.open_socket`; closed in the end.
        config: how much it takes.

    Raises:
        ConfigError: if the token is too short to keep anybody out.
    """

    def __init__(
        self, policy: ServedPolicy, token: str, listener: socket.socket, config: ServerConfig | None = None
    ) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise ConfigError(
                "the token is too short", got=f"{len(token)} characters", expected=f"{SHORTEST_TOKEN} or more"
            )
        self.policy, self.config, self.listener = policy, config or ServerConfig(), listener
        self._bearer = f"Bearer {token}".encode()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._clients = 0

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until :meth:`stop`, or until interrupted.

        Args:
            started: called once clients are answered.
        """
        self._decider = Decider(self.policy, self.config.max_slots)
        try:
            asyncio.run(self._serve(started))
        finally:
            self._decider.close()
            self.listener.close()

    def stop(self) -> None:
        """Let every client go and return from :meth:`run`; from any thread, or a signal handler."""
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    # --- in the thread that talks

    async def _serve(self, started: Callable[[], None]) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with serve(
            self._talk,
            sock=self.listener,
            process_request=self._let_in,
            compression=None,  # pictures and floats hardly shrink, and every robot would wait for it
            max_size=self.config.max_bytes,
            max_queue=2,
            open_timeout=self.config.hello_timeout_s,
            close_timeout=2.0,
            server_header=None,
            logger=_LOGGER,
        ):
            started()
            await self._over.wait()

    def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == HEALTH:
            return connection.respond(HTTPStatus.OK, "ok\n")
        offered = request.headers.get_all("Authorization")
        if len(offered) != 1 or not hmac.compare_digest(offered[0].encode("utf-8", "replace"), self._bearer):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "this policy server needs its token\n")
        if self._clients >= self.config.max_clients:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "this policy server has no room for a client\n")
        return None

    async def _talk(self, connection: ServerConnection) -> None:
        self._clients += 1
        client = _Client(connection, self.policy, self._decider, self.config)
        try:
            await client.talk()
        except (ConnectionClosed, _ClientGone):
            pass
        finally:
            self._clients -= 1
            client.leave()


class _ClientGone(Exception):
    """Nobody waits for the answer any more."""


class _Client:
    """One client: its slots and its question."""

    def __init__(
        self, connection: ServerConnection, policy: ServedPolicy, decider: Decider, config: ServerConfig
    ) -> None:
        self.connection, self.policy, self.decider, self.config = connection, policy, decider, config
        self.slots: dict[int, int] = {}
        """The server's slot for each of the client's."""

    async def talk(self) -> None:
        """Until it leaves, or says what cannot be understood."""
        self._gone = asyncio.ensure_future(self.connection.wait_closed())
        try:
            await asyncio.wait_for(self._greet(), self.config.hello_timeout_s)
            while True:
                question = decode(await self.connection.recv(), self.config.max_bytes)
                await self.connection.send(await self._answer(question))
        except (RobotStackError, asyncio.TimeoutError) as error:
            await self._part(error)
        finally:
            self._gone.cancel()

    def leave(self) -> None:
        """Give its slots back."""
        if self.slots:
            self.decider.release(tuple(self.slots.values()))
            self.slots = {}

    async def _greet(self) -> None:
        hello = decode(await self.connection.recv(), self.config.max_bytes)
        if not isinstance(hello, Hello):
            raise WireError("a client says who it is first", got=type(hello).__name__, expected="Hello")
        policy, config = self.policy, self.config
        policy.check_robot(hello.robot)
        history = policy.driver.history
        planning = None if hello.version < 2 else policy.planning
        welcome = Welcome(policy.name, history, policy.cameras, config.max_bytes, config.max_slots, planning)
        await self.connection.send(encode(welcome))

    async def _part(self, error: Exception) -> None:
        if isinstance(error, asyncio.TimeoutError):
            error = WireError("the client did not say who it is in time")
        await self.connection.send(encode(refusal_of(error)))
        await self.connection.close(_POLICY_VIOLATION, "refused")

    async def _answer(self, question: Message) -> bytes:
        if not isinstance(question, (Reset, Act)):
            raise WireError("this is no question", got=type(question).__name__, expected="Reset or Act")
        try:
            decision = await self._decide(question)
            timing = decision.queue_s, decision.work_s
            if isinstance(question, Reset):
                return encode(Ready(question.id, *timing))
            return encode(Decided(question.id, decision.chunks, *timing, decision.batch))
        except _ClientGone:
            raise
        except Exception as error:  # whatever a policy raises is this question's answer, and the end of nothing else
            return encode(refusal_of(error, question.id))

    async def _decide(self, question: Reset | Act) -> Decision:
        if isinstance(question, Reset):
            slot = self._slot(question.slot)
            return await self._wait(self.decider.reset(slot, question.instruction, question.seed))
        unknown = [slot for slot in question.slots if slot not in self.slots]
        if unknown:
            raise ConfigError("a slot was never reset", got=unknown, remedy="begin each episode with a reset")
        for history in question.histories:
            self.policy.check_history(history)
        for plan in question.running or ():
            self.policy.check_running(plan)
        slots = tuple(self.slots[slot] for slot in question.slots)
        return await self._wait(self.decider.act(slots, question.histories, question.running))

    def _slot(self, number: int) -> int:
        if number not in self.slots:
            slot = self.decider.take_slot()
            if slot is None:
                raise no_slot_free(self.config.max_slots)
            self.slots[number] = slot
        return self.slots[number]

    async def _wait(self, answer: Future[Decision]) -> Decision:
        """The answer; forgotten when the client leaves before."""
        waiting = asyncio.wrap_future(answer)
        await asyncio.wait({waiting, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()  # and with it the question, if it has not begun
            raise _ClientGone
        return waiting.result()
