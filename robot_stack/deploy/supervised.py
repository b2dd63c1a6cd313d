"""One process of a plan while it runs: started, heard, ended."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from robot_stack.deploy.process_plan import ProcessPlan

KEPT_LINES = 30
"""Newest lines of output that are remembered for messages."""

Say = Callable[[str, str], None]
"""Takes whose line it is, and the line."""

Command = Callable[[ProcessPlan], list[str]]
"""What starts a process, without the words of ROS; it ends when this process is gone."""


def python_module(plan: ProcessPlan) -> list[str]:
    """``python -m`` the module of a process, under :mod:`robot_stack.deploy.child`."""
    return [sys.executable, "-m", "robot_stack.deploy.child", str(os.getpid()), plan.module]


class Supervised:
    """A child process with its output.

    Args:
        plan: what to run.
        command: what starts it.
        parameter_file: for it.
        environment: all its variables.
        log: file for its output.
        say: told every line of output; called from a thread.
        ended: told the process when it has ended; a queue.
    """

    def __init__(
        self,
        plan: ProcessPlan,
        command: Command,
        parameter_file: Path | None,
        environment: Mapping[str, str],
        log: Path,
        say: Say,
        ended: queue.SimpleQueue[Supervised | str],
    ) -> None:
        self.plan = plan
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        """Of its output, newest last."""
        self._say, self._ended = say, ended
        own = not plan.terminal
        self._log = log.open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            [*command(plan), *plan.ros_arguments(parameter_file)],
            env=dict(environment),
            stdin=subprocess.DEVNULL if own else None,
            stdout=subprocess.PIPE if own else None,
            stderr=subprocess.STDOUT if own else None,
            start_new_session=own,  # Ctrl-C at the terminal reaches the runner, which ends all in their order
            text=True,
            errors="replace",
        )
        """The child."""
        self._own_group = own
        self._listener = threading.Thread(target=self._listen, name=f"{plan.node} output", daemon=True)
        self._listener.start()
        threading.Thread(target=self._wait, name=f"{plan.node} end", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.process.poll()
        if code is None:
            return "runs"
        if code >= 0:
            return f"ended with code {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process; SIGKILL goes to all its children as well."""
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL and self._own_group:
                os.killpg(self.process.pid, number)
            elif self.running:
                self.process.send_signal(number)

    def wait(self, until_s: float) -> bool:
        """Wait for its end until a time on the monotonic clock; returns whether it has ended."""
        try:
            self.process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self) -> None:
        """After its end: leave no child of it behind, and no line of its output unread."""
        self.send(signal.SIGKILL)
        self._listener.join(timeout=2.0)
        if not self._listener.is_alive():
            self._log.close()

    def _listen(self) -> None:
        if self.process.stdout is None:
            return
        for line in self.process.stdout:
            self._log.write(line)
            self._log.flush()
            text = line.rstrip("\n")
            self.last_lines.append(text)
            self._say(self.plan.node, text)

    def _wait(self) -> None:
        self.process.wait()
        self._ended.put(self)
