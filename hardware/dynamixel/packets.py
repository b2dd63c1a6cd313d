"""Packets of DYNAMIXEL protocol 2.0: CRC-16, byte stuffing, building, and finding them in a stream of bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEADER = b"\xff\xff\xfd\x00"
"""Every packet begins so; a fourth byte of 0xFD would be stuffing inside of one."""

BROADCAST = 0xFE
"""The id that every servo listens to."""

PING, READ, WRITE, REBOOT = 0x01, 0x02, 0x03, 0x08
"""Instructions to one servo."""

STATUS = 0x55
"""What a servo answers with."""

SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
"""Instructions to several servos at once."""

LONGEST = 1024
"""A length field beyond this is no length, but noise [bytes]."""

_MARK, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"
_POLYNOMIAL = 0x8005


def _table() -> tuple[int, ...]:
    entries = []
    for high in range(256):
        value = high << 8
        for _ in range(8):
            value = (value << 1) ^ _POLYNOMIAL if value & 0x8000 else value << 1
        entries.append(value & 0xFFFF)
    return tuple(entries)


_CRC = _table()


def crc16(data: bytes, start: int = 0) -> int:
    """CRC-16 with polynomial 0x8005, nothing reflected, from 0; the last two bytes of every packet, low byte first.

    Args:
        data: what it covers: everything from the header on.
        start: the CRC of what came before ``data``.
    """
    crc = start
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ _CRC[(crc >> 8) ^ byte]
    return crc


@dataclass(frozen=True)
class Packet:
    """One packet whose CRC was right."""

    servo: int
    """The id it is for, or comes from."""

    instruction: int
    """:data:`STATUS` for an answer."""

    data: bytes
    """Parameters without stuffing; an answer's without its error byte."""

    error: int = 0
    """An answer's error byte; bit 7 says that the servo's hardware error register is not zero."""


def instruct(servo: int, instruction: int, parameters: bytes = b"") -> bytes:
    """The bytes of an instruction packet.

    Args:
        servo: its id, or :data:`BROADCAST`.
        instruction: one of this module's.
        parameters: without stuffing.
    """
    return _assemble(servo, bytes((instruction,)) + parameters)


def answer(servo: int, error: int, data: bytes = b"") -> bytes:
    """The bytes of a status packet."""
    return _assemble(servo, bytes((STATUS, error)) + data)


def span(address: int, length: int) -> bytes:
    """Address and length as the parameters of a read begin."""
    return address.to_bytes(2, "little") + length.to_bytes(2, "little")


def sync_read(address: int, length: int, servos: Sequence[int], *, fast: bool = False) -> bytes:
    """Ask several servos for the same part of their control tables."""
    return instruct(BROADCAST, FAST_SYNC_READ if fast else SYNC_READ, span(address, length) + bytes(servos))


def sync_write(address: int, length: int, values: Mapping[int, bytes]) -> bytes:
    """Write the same part of several servos' control tables; none of them answers."""
    body = b"".join(bytes((servo,)) + value for servo, value in values.items())
    return instruct(BROADCAST, SYNC_WRITE, span(address, length) + body)


def split_fast_answer(packet: Packet, length: int) -> dict[int, Packet]:
    """Each servo's part of the one answer to a fast sync read.

    The first servo's error byte stands where every answer has it; each further part begins with its own, and ends with
    the CRC that that servo counted up to there (the last of them is the packet's own).

    Args:
        packet: found by :class:`PacketStream`.
        length: how many bytes each servo was asked for.
    """
    body, parts = bytes((packet.error,)) + packet.data, {}
    for at in range(0, len(body), length + 4):
        part = body[at : at + 2 + length]
        if len(part) == 2 + length:
            parts[part[1]] = Packet(part[1], STATUS, part[2:], part[0])
    return parts


class PacketStream:
    """Finds packets in bytes as they come: in halves, several at once, after noise.

    What fails its CRC is skipped by one byte, so that a packet that begins inside of it is still found.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.bad_crc = 0
        """Packets whose CRC was wrong, since the beginning."""
        self.noise = 0
        """Bytes that belonged to no packet, since the beginning."""

    def reset(self) -> None:
        """Forget what has not become a packet yet."""
        self.noise += len(self._bytes)
        self._bytes.clear()

    def feed(self, data: bytes) -> list[Packet]:
        """Every packet that ``data`` completes, in order."""
        self._bytes += data
        found = []
        while self._seek():
            have = self._bytes
            total = 7 + int.from_bytes(have[5:7], "little")
            if total < 10 or total > LONGEST:
                self._skip(1)
                continue
            if len(have) < total:
                break
            raw = bytes(have[:total])
            if crc16(raw[:-2]) != int.from_bytes(raw[-2:], "little"):
                self.bad_crc += 1
                self._skip(1)
                continue
            del have[:total]
            found.append(_read(raw))
        return found

    def _seek(self) -> bool:
        """Drop everything before the next header; whether a length follows."""
        have = self._bytes
        at = have.find(_MARK)
        while at >= 0 and len(have) > at + 3 and have[at + 3] == 0xFD:
            at = have.find(_MARK, at + 1)
        if at < 0:
            self._skip(max(len(have) - 2, 0))
            return False
        self._skip(at)
        return len(have) >= 7

    def _skip(self, count: int) -> None:
        self.noise += count
        del self._bytes[:count]


def _assemble(servo: int, body: bytes) -> bytes:
    body = body.replace(_MARK, _STUFFED)
    packet = HEADER + bytes((servo,)) + (len(body) + 2).to_bytes(2, "little") + body
    return packet + crc16(packet).to_bytes(2, "little")


def _read(raw: bytes) -> Packet:
    servo, instruction, body = raw[4], raw[7], raw[8:-2]
    if not (servo == BROADCAST and instruction == STATUS):  # the answer to a fast sync read is not stuffed
        body = body.replace(_STUFFED, _MARK)
    if instruction == STATUS and body:
        return Packet(servo, instruction, body[1:], body[0])
    return Packet(servo, instruction, body)
