"""A serial port in raw bytes, by the operating system's own calls; Linux only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
import tty
from pathlib import Path

from robot_stack.core.joint_bus import BusError

SPEEDS = {rate: getattr(termios, f"B{rate}") for rate in (57600, 115200, 1000000, 2000000, 3000000, 4000000)}
"""Speeds that both the servos and the operating system know [bit/s]."""

USB_LATENCY_MS = 1
"""What an FTDI adapter's latency timer must be; at its usual 16 no round trip is faster [ms]."""


class SerialPort:
    """One open port, ours alone.

    Args:
        path: for example ``/dev/ttyUSB0``, better ``/dev/serial/by-id/…``, which does not change.
        speed: [bit/s].

    Raises:
        BusError: if it does not exist, may not be opened, is held by another process, or does not know the speed.
    """

    def __init__(self, path: str, speed: int = 1000000) -> None:
        self.path = path
        if speed not in SPEEDS:
            raise BusError("no such serial speed", where=path, got=speed, expected=sorted(SPEEDS))
        self._fd = _open(path)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
            _configure(self._fd, SPEEDS[speed])
        except BlockingIOError:
            os.close(self._fd)
            raise BusError(
                "another process has the serial port",
                where=path,
                remedy="stop it: two writers would confuse the servos",
            ) from None
        except (OSError, termios.error) as error:
            os.close(self._fd)
            raise BusError("not a serial port we can set up", where=path, got=error) from None

    def write(self, data: bytes) -> None:
        """Send all of ``data``; waits only while the operating system's buffer is full.

        Raises:
            BusError: if the port is gone.
        """
        try:
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    if not select.select((), (self._fd,), (), 0.1)[1]:
                        raise BusError("the serial port takes no bytes", where=self.path) from None
        except OSError as error:
            raise self._gone(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What has come, or comes within ``timeout_s``; empty if nothing.

        Raises:
            BusError: if the port is gone.
        """
        try:
            if not select.select((self._fd,), (), (), max(timeout_s, 0.0))[0]:
                return b""
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._gone(error) from None
        if not data:
            raise self._gone("end of file")
        return data

    def drain(self) -> None:
        """Throw away what has come and was not read.

        Raises:
            BusError: if the port is gone.
        """
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except (termios.error, OSError, ValueError) as error:
            raise self._gone(error) from None

    def close(self) -> None:
        """Idempotent, never raises."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1

    def _gone(self, error: object) -> BusError:
        return BusError("the serial port is gone", where=self.path, got=error, remedy="look at the USB cable")


def slow_adapter(path: str) -> str:
    """Why a USB adapter will be slow and what to do, or empty; never raises."""
    timer = Path("/sys/bus/usb-serial/devices") / Path(path).resolve().name / "latency_timer"
    try:
        milliseconds = int(timer.read_text())
    except (OSError, ValueError):
        return ""
    if milliseconds <= USB_LATENCY_MS:
        return ""
    return f"latency timer of {path} is {milliseconds} ms: echo {USB_LATENCY_MS} | sudo tee {timer}"


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        remedy = "plug the adapter in; ls /dev/serial/by-id shows what is there"
        raise BusError("there is no such serial port", where=path, remedy=remedy) from None
    except PermissionError:
        remedy = "sudo usermod -aG dialout $USER, then log in again"
        raise BusError("no permission for the serial port", where=path, remedy=remedy) from None
    except OSError as error:
        raise BusError("the serial port cannot be opened", where=path, got=error) from None


def _configure(fd: int, speed: int) -> None:
    """Raw bytes, no flow control, and ``speed``."""
    tty.setraw(fd, termios.TCSANOW)
    settings = termios.tcgetattr(fd)
    settings[2] |= termios.CLOCAL | termios.CREAD
    settings[2] &= ~(termios.CRTSCTS | termios.CSTOPB | termios.PARENB)
    settings[4] = settings[5] = speed
    termios.tcsetattr(fd, termios.TCSANOW, settings)
    termios.tcflush(fd, termios.TCIOFLUSH)
