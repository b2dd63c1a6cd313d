"""Single keys from a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Any

from robot_stack.core.errors import RobotStackError


class TerminalKeys:
    """Keys that were pressed since the last look; the terminal is put back as it was on exit.

    Args:
        stream: the terminal; standard input when left out.

    Raises:
        RobotStackError: if it is no terminal.
    """

    def __init__(self, stream: Any = None) -> None:
        self._descriptor = (sys.stdin if stream is None else stream).fileno()
        if not os.isatty(self._descriptor):
            raise RobotStackError(
                "the operator needs a terminal for its keys",
                got="standard input is none",
                remedy="run it in a terminal: ros2 run robot_stack operator --ros-args -r __ns:=/<robot>; "
                "or hands_free: true in simulation",
            )
        self._before: list[Any] = []

    def __enter__(self) -> TerminalKeys:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def pressed(self, timeout_s: float) -> str:
        """Characters that came, after at most so long; escape sequences of other keys are left out.

        Raises:
            EOFError: if the terminal is gone.
        """
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        if not ready:
            return ""
        data = os.read(self._descriptor, 1024)
        if not data:
            raise EOFError("the terminal is gone")
        return plain_keys(data.decode(errors="ignore"))


def plain_keys(text: str) -> str:
    """Without the escape sequences of arrows and function keys; a lone escape stays."""
    kept, k = "", 0
    while k < len(text):
        if text[k] == "\x1b" and k + 1 < len(text) and text[k + 1] in "[O":
            k += 2
            while k < len(text) and not ("@" <= text[k] <= "~"):
                k += 1
        else:
            kept += text[k]
        k += 1
    return kept
