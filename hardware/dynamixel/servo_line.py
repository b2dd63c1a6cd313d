"""Servos on one half-duplex serial line: one question at a time, each with its answer or the time that ran out."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.dynamixel import packets
from robot_stack.hardware.dynamixel.control_table import (
    ALERT,
    ANSWER_ERRORS,
    HARDWARE_ERROR,
    MODEL_NUMBER,
    PRESENT,
    PRESENT_CURRENT,
    PRESENT_POSITION,
    PRESENT_VELOCITY,
    Item,
    hardware_errors,
)

TRIES = 3
"""How often a question to one servo is asked before it counts as unanswered."""


class Port(Protocol):
    """What carries the bytes: :class:`robot_stack.hardware.dynamixel.serial_port.SerialPort`."""

    @property
    def path(self) -> str:
        """Its name."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of it."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """What comes within the time; empty if nothing."""
        ...

    def drain(self) -> None:
        """Throw away what was not read."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


@dataclass(frozen=True)
class Present:
    """What a servo measures, in its own units."""

    current: int
    """[mA]; at the input of its power, for the XC330."""

    velocity: int
    """[0.229 rev/min]."""

    position: int
    """[4096th of a turn]; counts on over several turns."""

    alert: bool
    """Whether its hardware error register is not zero."""


class ServoLine:
    """Talks to servos by their ids; one thread calls it.

    Args:
        port: an open one; closed by :meth:`close`.
        timeout_s: how long an answer may take [s]; at 1 Mbit/s an exchange with four servos takes about 1 ms, an FTDI
            adapter adds 1 to 2 ms.
    """

    def __init__(self, port: Port, timeout_s: float = 0.01) -> None:
        self.timeout_s = timeout_s
        """How long an answer may take [s]."""
        self._port = port
        self._stream = packets.PacketStream()
        self.unanswered = 0
        """Questions that not every servo answered, since the beginning."""

    @property
    def bad_crc(self) -> int:
        """Answers whose CRC was wrong, since the beginning."""
        return self._stream.bad_crc

    def ping(self, servo: int) -> bool:
        """Whether a servo answers.

        Raises:
            BusError: if the port is gone.
        """
        return any(servo in self._ask(packets.instruct(servo, packets.PING), (servo,), 3) for _ in range(TRIES))

    def require(self, servos: Sequence[int], model: int) -> None:
        """Make sure that every servo is there and of the right model.

        Raises:
            BusError: with all that is wrong.
        """
        missing = [servo for servo in servos if not self.ping(servo)]
        if missing:
            raise BusError(
                "servos do not answer",
                where=self._port.path,
                got=f"no answer from ids {missing}",
                expected=f"ids {list(servos)}",
                remedy="look at their power, cables, ids and baud rate",
            )
        wrong = {servo: found for servo in servos if (found := self.read(servo, MODEL_NUMBER)) != model}
        if wrong:
            raise BusError("servos of another model", where=self._port.path, got=wrong, expected=model)

    def read(self, servo: int, item: Item) -> int:
        """One entry of a servo's control table.

        Raises:
            BusError: if it does not answer, or refuses.
        """
        question = packets.instruct(servo, packets.READ, packets.span(item.address, item.size))
        return item.decode(self._insist(servo, question, f"read its {item.name}", item.size).data)

    def write(self, servo: int, item: Item, value: int) -> None:
        """Change one entry, and hear that it was changed.

        Raises:
            BusError: if it does not answer, or refuses.
            ConfigError: if the value does not fit the entry.
        """
        data = item.address.to_bytes(2, "little") + item.encode(value)
        self._insist(servo, packets.instruct(servo, packets.WRITE, data), f"set its {item.name} to {value}", 0)

    def write_all(self, item: Item, values: Mapping[int, int]) -> None:
        """Change one entry of several servos at once; none answers.

        Raises:
            BusError: if the port is gone.
            ConfigError: if a value does not fit the entry.
        """
        encoded = {servo: item.encode(value) for servo, value in values.items()}
        self._port.write(packets.sync_write(item.address, item.size, encoded))

    def read_present(self, servos: Sequence[int], *, fast: bool = False) -> dict[int, Present]:
        """Current, velocity and position of those that answer.

        Args:
            servos: in the order in which they answer.
            fast: all in one packet; firmware of recent years knows it. One missing servo silences those after it.

        Raises:
            BusError: if the port is gone.
        """
        address, length = PRESENT
        question = packets.sync_read(address, length, servos, fast=fast)
        if not fast:
            found = self._ask(question, servos, length)
        else:
            whole = self._ask(question, (packets.BROADCAST,), len(servos) * (length + 4) - 3)
            found = packets.split_fast_answer(whole[packets.BROADCAST], length) if whole else {}
        return {servo: _present(found[servo]) for servo in servos if servo in found}

    def errors_of(self, servo: int) -> tuple[str, ...]:
        """What its hardware error register says, in words.

        Raises:
            BusError: if it does not answer.
        """
        return hardware_errors(self.read(servo, HARDWARE_ERROR))

    def reboot(self, servo: int) -> None:
        """Restart a servo, which clears its hardware errors and switches its torque off.

        Raises:
            BusError: if it does not answer.
        """
        self._insist(servo, packets.instruct(servo, packets.REBOOT), "reboot", 0)

    def close(self) -> None:
        """Close the port; idempotent."""
        self._port.close()

    def _insist(self, servo: int, question: bytes, what: str, length: int) -> packets.Packet:
        for _ in range(TRIES):
            answer = self._ask(question, (servo,), length).get(servo)
            if answer is not None:
                break
        else:
            raise BusError(
                f"servo {servo} does not answer", where=self._port.path, got=f"tried to {what} {TRIES} times"
            )
        wrong = answer.error & ~ALERT
        if wrong:
            reason = ANSWER_ERRORS.get(wrong, f"error {wrong}")
            raise BusError(f"servo {servo} refuses to {what}", where=self._port.path, got=reason)
        return answer

    def _ask(self, question: bytes, servos: Collection[int], length: int) -> dict[int, packets.Packet]:
        """Send, and collect answers with ``length`` bytes of data, or none and an error."""
        self._port.drain()
        self._stream.reset()
        self._port.write(question)
        deadline, found = time.monotonic() + self.timeout_s, {}
        while len(found) < len(servos):
            left = deadline - time.monotonic()
            data = self._port.read(left) if left > 0.0 else b""
            if not data:
                self.unanswered += 1
                break
            for packet in self._stream.feed(data):
                fits = len(packet.data) == length or (not packet.data and packet.error & ~ALERT)
                if packet.instruction == packets.STATUS and packet.servo in servos and fits:
                    found[packet.servo] = packet
        return found


def _present(packet: packets.Packet) -> Present:
    start = PRESENT[0]

    def value(item: Item) -> int:
        return item.decode(packet.data[item.address - start : item.address - start + item.size])

    return Present(value(PRESENT_CURRENT), value(PRESENT_VELOCITY), value(PRESENT_POSITION), bool(packet.error & ALERT))
