"""Serves a page from this process until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable

from robot_stack.core.errors import ConfigError, MissingExtraError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that only this machine reaches."""


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket, so that the address is known, and taken, before anything is loaded.

    Args:
        host: address to listen at; a loopback one unless others are to reach the page.
        port: 0 for any that is free.

    Raises:
        ConfigError: if the address is taken or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise ConfigError(
            "cannot listen at this address", got=f"{host}:{port}: {error.strerror}", remedy="choose another --port"
        ) from error
    return listener


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
