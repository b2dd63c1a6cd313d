"""Emulated servos behind a pseudo-terminal: the same bytes as on the real line, from another thread or process."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from robot_stack.hardware.dynamixel import packets
from robot_stack.hardware.dynamixel.emulated_servo import BAD_INSTRUCTION, EmulatedServo


@dataclass
class LineFaults:
    """What is wrong with the line; change it at any time."""

    silent: set[int] = field(default_factory=set)
    """Servos that do not answer, nor hear."""

    wrong_crc: int = 0
    """So many of the next answers get a flipped bit."""

    halves: int = 0
    """So many of the next answers end in their middle."""

    noise: bytes = b""
    """Put before every answer."""

    latency_s: float = 0.0
    """Before every answer [s]."""

    unplugged: bool = False
    """Nothing gets through, as with a pulled servo cable; the port is still there."""

    chained: bool = True
    """Whether, as with real servos, one that is silent silences those after it in the same sync read."""


class EmulatedLine:
    """Servos on one line.

    Args:
        servos: which.
        lock: held while the servos' tables are read or written, so that a plant can move them meanwhile.
    """

    def __init__(self, servos: Iterable[EmulatedServo], lock: threading.Lock | None = None) -> None:
        self.servos = {servo.number: servo for servo in servos}
        self.faults = LineFaults()
        self.lock = lock or threading.Lock()
        """Held while servos are read or written."""
        self.heard = 0
        """Instructions that came, since the beginning."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        """What :class:`robot_stack.hardware.dynamixel.serial_port.SerialPort` opens."""
        self._wake_out, self._wake_in = os.pipe()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer from a thread of its own until :meth:`close`."""
        self._thread = threading.Thread(target=self._serve, name="emulated servos", daemon=True)
        self._thread.start()

    def vanish(self) -> None:
        """The adapter is pulled out of the computer: the port is gone for good."""
        self._stop()
        for name in ("_master", "_slave"):
            self._shut(name)

    def close(self) -> None:
        """Idempotent, never raises."""
        self.vanish()
        for name in ("_wake_in", "_wake_out"):
            self._shut(name)

    def _stop(self) -> None:
        if self._thread is not None:
            os.write(self._wake_in, b"x")
            self._thread.join()
            self._thread = None

    def _shut(self, name: str) -> None:
        number = getattr(self, name)
        setattr(self, name, -1)
        if number >= 0:
            with contextlib.suppress(OSError):
                os.close(number)

    def _serve(self) -> None:
        stream = packets.PacketStream()
        while True:
            ready, _, _ = select.select((self._master, self._wake_out), (), ())
            if self._wake_out in ready:
                return
            try:
                data = os.read(self._master, 4096)
            except OSError:
                return
            for packet in stream.feed(data):
                self.heard += 1
                if not self.faults.unplugged:
                    with self.lock:
                        answers = list(self._answers(packet))
                    for answer in answers:
                        self._send(answer)

    def _send(self, answer: bytes) -> None:
        faults = self.faults
        if faults.latency_s:
            time.sleep(faults.latency_s)
        if faults.wrong_crc > 0:
            faults.wrong_crc -= 1
            answer = answer[:-1] + bytes((answer[-1] ^ 0x10,))
        if faults.halves > 0:
            faults.halves -= 1
            answer = answer[: len(answer) // 2]
        with contextlib.suppress(OSError):
            os.write(self._master, faults.noise + answer)

    def _answers(self, packet: packets.Packet) -> Iterable[bytes]:
        data = packet.data
        if packet.instruction == packets.SYNC_WRITE:
            self._write_all(data)
        elif packet.instruction in (packets.SYNC_READ, packets.FAST_SYNC_READ):
            yield from self._read_all(data, fast=packet.instruction == packets.FAST_SYNC_READ)
        else:
            for number, servo in self.servos.items():
                if packet.servo in (number, packets.BROADCAST) and number not in self.faults.silent:
                    yield from _one(servo, packet.instruction, data, alone=packet.servo == number)

    def _write_all(self, data: bytes) -> None:
        address, length = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
        for at in range(4, len(data) - length, length + 1):
            servo = self.servos.get(data[at])
            if servo is not None and servo.number not in self.faults.silent:
                servo.store(address, data[at + 1 : at + 1 + length])

    def _read_all(self, data: bytes, *, fast: bool) -> Iterable[bytes]:
        address, length = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
        parts = []
        for number in data[4:]:
            servo = self.servos.get(number)
            if servo is None or number in self.faults.silent:
                if self.faults.chained:
                    break
                continue
            error, found = servo.fetch(address, length)
            parts.append((number, error, found))
            if not fast:
                yield packets.answer(number, error, found)
        if fast and parts:
            yield _fast_answer(parts, len(data) - 4, length)


def _one(servo: EmulatedServo, instruction: int, data: bytes, *, alone: bool) -> Iterable[bytes]:
    if instruction == packets.PING:
        yield packets.answer(servo.number, servo.alert, servo.fetch(0, 2)[1] + servo.fetch(6, 1)[1])
        return
    actions: dict[int, Callable[[], bytes]] = {
        packets.READ: lambda: packets.answer(servo.number, *servo.fetch(_word(data, 0), _word(data, 2))),
        packets.WRITE: lambda: packets.answer(servo.number, servo.store(_word(data, 0), data[2:])),
        packets.REBOOT: lambda: _reboot(servo),
    }
    action = actions.get(instruction, lambda: packets.answer(servo.number, BAD_INSTRUCTION))
    answer = action()
    if alone:
        yield answer


def _reboot(servo: EmulatedServo) -> bytes:
    servo.restart()
    return packets.answer(servo.number, 0)


def _fast_answer(parts: list[tuple[int, int, bytes]], asked: int, length: int) -> bytes:
    """One packet from all; its length counts those that were asked, so that a missing one leaves it incomplete."""
    raw = packets.HEADER + bytes((packets.BROADCAST,)) + (1 + asked * (length + 4)).to_bytes(2, "little")
    raw += bytes((packets.STATUS,))
    for number, error, found in parts:
        raw += bytes((error, number)) + found
        raw += packets.crc16(raw).to_bytes(2, "little")
    return raw


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
