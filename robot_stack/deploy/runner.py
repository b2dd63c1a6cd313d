"""Starts a plan's processes without ROS's launch system, keeps watch over them, and ends them in their order.

The processes, their parameters and their command lines are those that the launch files give to launch_ros; none is
started again by itself, because a robot's process that died must not come back armed.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from robot_stack.core.lock import FolderLock
from robot_stack.deploy.process_plan import DeployPlan, ProcessPlan
from robot_stack.deploy.supervised import Command, Supervised, python_module
from robot_stack.hardware.ros.environment import require_ros, ros_environment

RUNNER_LOG = "runner.log"
"""The runner's own lines, in the folder of all logs."""

_STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Runner:
    """Runs one plan once.

    Args:
        plan: what to run.
        log_folder: for the output of every process; made if it is not there.
        tell: takes lines for a person; not called while a process has the terminal for itself.
        command: what starts a process.
    """

    def __init__(
        self,
        plan: DeployPlan,
        log_folder: str | Path,
        tell: Callable[[str], None],
        command: Command = python_module,
    ) -> None:
        self.plan = plan
        self.log_folder = Path(log_folder)
        self._tell, self._command = tell, command
        self._events: queue.SimpleQueue[Supervised | str] = queue.SimpleQueue()
        self._running: list[Supervised] = []
        self._unread: set[int] = set()
        self._terminal_taken = False
        self._width = max(len(p.node) for p in plan.processes)

    def run(self) -> int:
        """Start everything, wait for the end, end everything; returns the exit code.

        0 when a person, a signal or a process that had finished its work ended it; 1 when a process failed.

        Raises:
            MissingExtraError: if ROS 2 is not installed; nothing is started then.
            LockedError: if this machine runs a deployment of the same robot already.
        """
        require_ros("a deployment")
        self.log_folder.mkdir(parents=True, exist_ok=True)
        (self.log_folder / RUNNER_LOG).write_text("")
        with (
            tempfile.TemporaryDirectory(prefix="robot_stack_deploy_") as parameters,
            FolderLock(self._lock_folder(), what="robot's deployment"),
            self._signals(),
        ):
            try:
                for process in self.plan.processes:
                    self._start(process, Path(parameters))
                failed = self._watch()
            finally:
                self._end_all()
        return 1 if failed else 0

    def _start(self, process: ProcessPlan, folder: Path) -> None:
        environment = ros_environment(domain=self.plan.domain, discovery=self.plan.discovery, profile=self.plan.profile)
        environment |= dict(self.plan.environment) | dict(process.environment)
        environment.setdefault("ROS_LOG_DIR", str(self.log_folder / "ros"))
        if process.executable == "operator":
            told = dict(process.parameters) | {"log_folder": str(self.log_folder)}
            process = dataclasses.replace(process, parameters=tuple(told.items()))
        log = self.log_folder / f"{process.node}.log"
        file = process.write_parameters(folder)
        if process.terminal:
            self._terminal_taken = True
        child = Supervised(process, self._command, file, environment, log, self._say, self._events)
        self._running.append(child)
        self._unread.add(child.process.pid)

    def _watch(self) -> bool:
        """Wait until there is a reason to end everything; returns whether it is a failure."""
        while self._unread:
            event = self._events.get()
            if isinstance(event, str):
                self._note(f"{event}: ending everything")
                return False
            self._unread.discard(event.process.pid)
            failed = self._ended(event)
            if event.plan.on_exit == "stop_all":
                return failed
        return False

    def _ended(self, child: Supervised) -> bool:
        """Say how a process ended; returns whether that is a failure."""
        if child.plan.terminal:
            self._terminal_taken = False
        failed = child.process.returncode not in (0, -signal.SIGINT)
        child.finish()
        self._note(f"{child.plan.node} {child.ending()}")
        if failed:
            for line in child.last_lines:
                self._note(f"  {line}")
            self._note(f"  all of its output: {self.log_folder / child.plan.node}.log")
        return failed

    def _end_all(self) -> None:
        """Ask, then order, then kill, rank after rank; a second Ctrl-C skips the waiting."""
        for rank in sorted({child.plan.stop_rank for child in self._running}):
            group = [child for child in self._running if child.plan.stop_rank == rank]
            for step in _STEPS:
                waiting = [child for child in group if child.running]
                if waiting and step is not signal.SIGINT:
                    self._note(f"{', '.join(c.plan.node for c in waiting)} did not end: {step.name}")
                for child in waiting:
                    child.send(step)
                self._wait_for(waiting, max((child.plan.grace_s for child in waiting), default=0.0))
            for child in group:
                child.finish()
                if child.plan.terminal:
                    self._terminal_taken = False

    def _wait_for(self, children: list[Supervised], grace_s: float) -> None:
        until = time.monotonic() + grace_s
        while any(child.running for child in children) and time.monotonic() < until:
            try:
                event = self._events.get(timeout=min(0.2, max(0.01, until - time.monotonic())))
            except queue.Empty:
                continue
            if isinstance(event, str):
                return

    def _say(self, node: str, line: str) -> None:
        if not self._terminal_taken:
            self._tell(f"{node:<{self._width}} | {line}")

    def _note(self, line: str) -> None:
        """A line of the runner's own: kept in its log, which an operator's table shows, and told."""
        with (self.log_folder / RUNNER_LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self._say("runner", line)

    def _lock_folder(self) -> Path:
        domain = self.plan.domain if self.plan.domain is not None else os.environ.get("ROS_DOMAIN_ID", "0")
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        name = self.plan.processes[0].namespace.strip("/").replace("/", "_")
        return root / "robot_stack" / "deployments" / f"{domain}_{name}"

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals become events of this runner while it runs."""

        def heard(number: int, _: FrameType | None) -> None:
            self._events.put(signal.Signals(number).name)

        before = {number: signal.signal(number, heard) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
