"""Serves a page from this process until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable

from robot_stack.core.errors import MissingExtraError
from robot_stack.runtime.listening import LOOPBACK, open_socket

__all__ = ["LOOPBACK", "open_socket", "own_address", "serve"]


def own_address() -> str:
    """This machine's address in its network, as a guess; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def serve(app: object, listener: socket.socket, *, started: Callable[[], None] = lambda: None) -> None:
    """Answer requests until interrupted.

    Args:
        app: an ASGI application.
        listener: from :func:`open_socket`.
        started: called once requests are answered.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("a page", extra="console", package="uvicorn") from error

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
    )
    Server(config).run(sockets=[listener])
