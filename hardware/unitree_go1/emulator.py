"""An emulated Go1 motor computer on a UDP port: the same packets, moved by whoever steps it."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.joint_bus import BusError
from robot_stack.core.seeding import generator
from robot_stack.hardware.unitree_go1.packets import (
    OVERHEAT,
    STATE,
    LegCommand,
    LegState,
    decode_command,
    encode_state,
)

TRAILER = 13
"""Bytes that a real Go1 sends behind its state."""


@dataclass
class PacketFaults:
    """What is wrong with the packets; change it at any time."""

    lose: float = 0.0
    """Share of states that are not sent."""

    lose_commands: float = 0.0
    """Share of commands that are not heard."""

    twice: float = 0.0
    """Share of states that are sent twice."""

    swap: float = 0.0
    """Share of states that are sent after the next one."""

    damage: float = 0.0
    """Share of states with a flipped bit."""

    frozen: bool = False
    """States repeat the last one and its count, as when the motor computer hangs."""

    silent: bool = False
    """Nothing is sent or heard."""

    overheated: tuple[int, ...] = ()
    """Motors that show the mode of an overheated one."""

    foreign_torque: float = 0.0
    """What all motors show beside what they were told, as when another program drives them too [N·m]."""

    other_mode: bool = False
    """Motors show the mode in which they do not obey."""


@dataclass
class Heard:
    """What came in."""

    commands: int = 0
    """Good ones."""

    refused: int = 0
    """Packets that were no commands, or damaged."""

    last: LegCommand | None = field(default=None)
    """The newest command; the motors keep it until another comes."""


class EmulatedGo1:
    """The far end of :class:`robot_stack.hardware.unitree_go1.link.UdpLegs`.

    Args:
        port: on loopback; 0 for a free one.
        seed: of the faults' draws.
    """

    def __init__(self, port: int = 0, seed: int = 0) -> None:
        self.faults, self.heard = PacketFaults(), Heard()
        self._random = generator(seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        """Where commands go."""
        self._peer: tuple[str, int] | None = None
        self._frozen: bytes = b""
        self._kept: bytes = b""

    def hear(self) -> LegCommand | None:
        """Take what came; the newest command, which the motors keep; ``None`` before the first."""
        for data, peer in self._arrived():
            if self.faults.silent or self._random.random() < self.faults.lose_commands:
                continue
            try:
                self.heard.last = decode_command(data)
            except BusError:
                self.heard.refused += 1
                continue
            self.heard.commands += 1
            self._peer = peer
        return self.heard.last

    def tell(self, state: LegState) -> None:
        """Send a state to whoever sent the last command."""
        if self._peer is None or self.faults.silent:
            return
        self._pass_on(self._shown(state))

    def forget(self) -> None:
        """Start anew, without a command; whoever spoke last is still told states."""
        self.heard, self._kept, self._frozen = Heard(), b"", b""

    def close(self) -> None:
        """Idempotent, never raises."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _arrived(self) -> list[tuple[bytes, tuple[str, int]]]:
        found = []
        try:
            while len(found) < 1000:
                found.append(self._socket.recvfrom(2048))
        except OSError:
            pass
        return found

    def _shown(self, state: LegState) -> bytes:
        faults = self.faults
        mode = np.array(state.mode)
        mode[list(faults.overheated)] = OVERHEAT
        if faults.other_mode:
            mode[:] = 0
        shown = LegState(**{**vars(state), "mode": mode})
        return encode_state(shown) + bytes(TRAILER)

    def _pass_on(self, packet: bytes) -> None:
        faults, random = self.faults, self._random
        if faults.frozen:
            packet = self._frozen or packet
        self._frozen = packet
        if random.random() < faults.damage:
            broken = bytearray(packet)
            broken[int(random.integers(3, STATE.itemsize))] ^= 1 << int(random.integers(8))
            packet = bytes(broken)
        if random.random() < faults.lose:
            return
        before, self._kept = self._kept, b""
        if not before and random.random() < faults.swap:
            self._kept = packet
            return
        for each in (packet, before) if before else (packet,):
            self._send(each)
            if random.random() < faults.twice:
                self._send(each)

    def _send(self, packet: bytes) -> None:
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(packet, self._peer)
