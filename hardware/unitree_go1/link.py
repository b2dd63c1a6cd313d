"""The line to a Go1's motor computer: over UDP by our own packets, or through Unitree's library."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Protocol

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.unitree_go1.packets import (
    STATE_LENGTHS,
    LegCommand,
    LegState,
    decode_state,
    encode_command,
    tick_of,
)

RESTART_TICKS = 1000
"""A count that falls back by more than this means that the motor computer started anew [ms]."""


@dataclass(frozen=True)
class Go1Address:
    """Where packets go and come from."""

    robot: str = "192.168.123.10"
    """The motor computer's address."""

    robot_port: int = 8007
    """Its port."""

    local: str = ""
    """Our address on the robot's network, 192.168.123.x; empty for any."""

    local_port: int = 8080
    """Our port; 0 for a free one."""

    masked: bool = False
    """Whether commands carry the masked checksum; see :mod:`robot_stack.hardware.unitree_go1.packets`."""

    def __post_init__(self) -> None:
        if not (0 < self.robot_port < 65536 and 0 <= self.local_port < 65536):
            raise ConfigError("no such port", got=self)


class LegLink(Protocol):
    """Carries commands to twelve motors and brings states back; one thread calls it, and nothing waits."""

    def open(self) -> None:
        """Connect; sends nothing.

        Raises:
            BusError: if that is not possible.
        """
        ...

    def send(self, command: LegCommand) -> None:
        """Send one command.

        Raises:
            BusError: if the line is broken.
        """
        ...

    def receive(self) -> LegState | None:
        """The newest state that came since the last call; ``None`` if none did.

        Raises:
            BusError: if the line is broken.
        """
        ...

    def counters(self) -> dict[str, int]:
        """Since the beginning: states that were damaged (``bad``), and overtaken or repeated (``late``)."""
        ...

    def close(self) -> None:
        """Disconnect; idempotent, never raises."""
        ...


class UdpLegs:
    """Implements :class:`LegLink` with our own packets.

    Args:
        address: where packets go and come from.
    """

    def __init__(self, address: Go1Address = Go1Address()) -> None:
        self.address = address
        self._socket: socket.socket | None = None
        self._newest: int | None = None
        self._bad = self._late = 0

    def open(self) -> None:
        """See :meth:`LegLink.open`."""
        if self._socket is not None:
            return
        address, made = self.address, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        where = f"{address.local or 'any'}:{address.local_port}"
        try:
            made.setblocking(False)
            made.bind((address.local, address.local_port))
            made.connect((address.robot, address.robot_port))
        except OSError as error:
            made.close()
            remedy = "ip addr: our network card needs 192.168.123.162/24; another program may hold the port"
            raise BusError("no way to the Go1's network", where=where, got=error, remedy=remedy) from None
        self._socket, self._newest = made, None

    def send(self, command: LegCommand) -> None:
        """See :meth:`LegLink.send`."""
        try:
            self._open_socket().send(encode_command(command, masked=self.address.masked))
        except (BlockingIOError, ConnectionRefusedError):
            pass  # a full buffer empties itself, and nobody listening shows by silence
        except OSError as error:
            raise BusError("the Go1's network is gone", where=self.address.robot, got=error) from None

    def receive(self) -> LegState | None:
        """See :meth:`LegLink.receive`; packets that are damaged or overtaken are counted and passed over."""
        newest: bytes | None = None
        for data in self._arrived():
            if len(data) not in STATE_LENGTHS:
                self._bad += 1
                continue
            if newest is not None and self._overtaken(tick_of(data), tick_of(newest)):
                self._late += 1
                continue
            newest = data
        if newest is None:
            return None
        try:
            state = decode_state(newest)
        except BusError:
            self._bad += 1
            return None
        if self._newest is not None and self._overtaken(state.tick, self._newest):
            self._late += 1
            return None
        self._newest = state.tick
        return state

    def counters(self) -> dict[str, int]:
        """See :meth:`LegLink.counters`."""
        return {"bad": self._bad, "late": self._late}

    def close(self) -> None:
        """See :meth:`LegLink.close`."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _arrived(self) -> list[bytes]:
        """What came since the last call, oldest first; no more than a second's worth."""
        line, found = self._open_socket(), []
        try:
            while len(found) < 1000:
                found.append(line.recv(2048))
        except (BlockingIOError, ConnectionRefusedError):
            pass
        except OSError as error:
            raise BusError("the Go1's network is gone", where=self.address.robot, got=error) from None
        return found

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise BusError("the line to the Go1 is not open")
        return self._socket

    @staticmethod
    def _overtaken(tick: int, by: int) -> bool:
        return by - RESTART_TICKS < tick <= by
