"""Child processes that start clean, use one thread each, and never outlive their parent.

Children are spawned, never forked: a fork after torch, MuJoCo or a thread pool has started copies locks in whatever
state they are in. Ctrl-C reaches the parent only; it ends its children itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any

from robot_stack.core.errors import ConfigError, RobotStackError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_START_LOCK = threading.Lock()


class WorkerDiedError(RobotStackError):
    """A child process ended without an answer: killed, out of memory, or crashed in native code."""


class Child:
    """One spawned process and the pipe to it.

    Args:
        target: called in the child as ``target(connection, *arguments)``; must be importable there.
        arguments: picklable.
        name: for process lists and messages.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=_run, args=(target, theirs, arguments), name=name, daemon=True)
        try:
            with _START_LOCK, _one_thread_each():
                self.process.start()
        except (AttributeError, TypeError, ValueError) as error:
            raise not_picklable(arguments, error) from error
        finally:
            theirs.close()

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            ConfigError: if it cannot be pickled.
            OSError: if the child is gone.
        """
        try:
            self.connection.send(message)
        except OSError:
            raise
        except Exception as error:  # pickling raises whatever the object's own code raises
            raise not_picklable(message, error) from error

    def death(self) -> str:
        """How the process ended, in words."""
        self.process.join(timeout=2.0)
        code = self.process.exitcode
        if code is None:
            return "it closed its pipe but still runs"
        if code >= 0:
            return f"it exited with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory, or somebody killed it)" if name == "SIGKILL" else ""
        return f"it was ended by {name}{hint}"

    def close(self, grace_s: float = 0.0) -> None:
        """End the process; idempotent.

        Args:
            grace_s: how long it may take to end by itself once its pipe is closed [s].
        """
        self.connection.close()
        self.process.join(timeout=grace_s)
        if self.process.exitcode is None:
            self.process.terminate()
            self.process.join(timeout=1.0)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def not_picklable(what: Any, error: Exception) -> ConfigError:
    """The error for something that cannot travel to another process."""
    return ConfigError(
        "this cannot be sent to another process",
        got=f"{short_repr(what)}: {type(error).__name__}: {error}",
        expected="functions defined at the top of a module, functools.partial of them, and plain data",
        remedy="move the function to a module and bind its arguments with functools.partial; no lambdas or closures",
    )


def short_repr(value: Any, limit: int = 200) -> str:
    """``repr(value)``, cut to ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children read these variables before their first import of NumPy or torch."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run(target: Callable[..., None], pipe: connection.Connection, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        target(pipe, *arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
