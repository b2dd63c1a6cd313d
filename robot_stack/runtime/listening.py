"""Sockets to be reached at."""

from __future__ import annotations

import socket

from robot_stack.core.errors import ConfigError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that only this machine reaches."""


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket, so that the address is known, and taken, before anything is loaded.

    Args:
        host: address to listen at; a loopback one unless others are to reach it.
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
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            "cannot listen at this address", got=f"{host}:{port}: {why}", remedy="choose another --port"
        ) from error
    return listener
