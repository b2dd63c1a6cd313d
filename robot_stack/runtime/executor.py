"""Work that fans out: the same results in this process or over several.

An executor applies a function to items and gives an :class:`ItemOutcome` for each. It knows nothing of robots;
:class:`robot_stack.runtime.fleet.Fleet` runs episodes that need a policy's decisions on the way.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import Any, Generic, TypeVar

from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.runtime.processes import Child, WorkerDiedError, not_picklable, short_repr

Item = TypeVar("Item")
Value = TypeVar("Value")


class ItemError(RobotStackError):
    """The function raised on one item."""


@dataclass(frozen=True)
class ItemOutcome(Generic[Value]):
    """What came of one item: a value or an error."""

    index: int
    """The item's place in the input, from 0."""

    value: Value | None = None
    """What the function returned; ``None`` when there is an error."""

    error: RobotStackError | None = None
    """:class:`ItemError` or :class:`WorkerDiedError`; ``None`` when it went well."""

    traceback: str = ""
    """Where it was raised, in the process where it was; empty when it went well or the process died."""

    def unwrap(self) -> Value:
        """The value.

        Raises:
            ItemError: if the function raised; the message holds the traceback.
            WorkerDiedError: if the process died on this item twice.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None may be the value


class Executor(ABC):
    """Applies a function to many items, somewhere."""

    @abstractmethod
    def outcomes(
        self, function: Callable[[Item], Value], items: Iterable[Item], *, ordered: bool = True
    ) -> Iterator[ItemOutcome[Value]]:
        """Apply ``function`` to every item.

        Args:
            function: must be importable where it runs, and must depend on its item only.
            items: read lazily, a few ahead of the work.
            ordered: outcomes in the order of the items; otherwise as they complete.

        Yields:
            One outcome for each item; an error of one item does not stop the others.
        """

    def map(self, function: Callable[[Item], Value], items: Iterable[Item], *, ordered: bool = True) -> Iterator[Value]:
        """Like :meth:`outcomes`, but yields values and raises the first error.

        Raises:
            ItemError: if the function raised.
            WorkerDiedError: if a process died twice on one item.
        """
        for outcome in self.outcomes(function, items, ordered=ordered):
            yield outcome.unwrap()


class SerialExecutor(Executor):
    """Everything in this process, one item after the other."""

    def outcomes(
        self, function: Callable[[Item], Value], items: Iterable[Item], *, ordered: bool = True
    ) -> Iterator[ItemOutcome[Value]]:
        """See :meth:`Executor.outcomes`; both orders are the same here."""
        for index, item in enumerate(items):
            yield _apply(function, index, item)


class ProcessExecutor(Executor):
    """Local processes, one item at a time each.

    A process that dies (killed, out of memory, a crash in native code) is replaced, and its item is tried once more;
    if that kills a process too, the item's outcome is a :class:`WorkerDiedError`. Leaving the iteration early, also
    by Ctrl-C, ends the processes at once.

    Args:
        processes: how many, at least 1.
    """

    def __init__(self, processes: int) -> None:
        if processes < 1:
            raise ConfigError("an executor needs at least one process", got=processes)
        self.processes = processes

    def outcomes(
        self, function: Callable[[Item], Value], items: Iterable[Item], *, ordered: bool = True
    ) -> Iterator[ItemOutcome[Value]]:
        """See :meth:`Executor.outcomes`."""
        run = _Run(function, items, self.processes)
        try:
            yield from _in_order(run.outcomes()) if ordered else run.outcomes()
        finally:
            run.close()


@dataclass
class _Ticket:
    index: int
    item: Any
    deaths: int = 0


class _Run:
    """One pass over the items with its own processes."""

    def __init__(self, function: Callable[[Any], Any], items: Iterable[Any], processes: int) -> None:
        self.function, self.size = function, processes
        self.pending = enumerate(items)
        self.again: deque[_Ticket] = deque()
        self.busy: dict[Child, _Ticket] = {}
        self.idle: list[Child] = []

    def outcomes(self) -> Iterator[ItemOutcome[Any]]:
        self._hand_out()
        while self.busy:
            by_pipe = {child.connection: child for child in self.busy}
            for pipe in connection.wait(list(by_pipe)):
                outcome = self._take(by_pipe[pipe])  # type: ignore[index]
                self._hand_out()
                if outcome is not None:
                    yield outcome

    def _hand_out(self) -> None:
        while len(self.busy) < self.size:
            ticket = self._next_ticket()
            if ticket is None:
                return
            child = self.idle.pop() if self.idle else Child(_serve, name="robot-stack-worker")
            self.busy[child] = ticket
            try:
                child.send((ticket.index, self.function, ticket.item))
            except OSError:
                continue  # it died; waiting on its pipe tells

    def _next_ticket(self) -> _Ticket | None:
        if self.again:
            return self.again.popleft()
        return next((_Ticket(index, item) for index, item in self.pending), None)

    def _take(self, child: Child) -> ItemOutcome[Any] | None:
        ticket = self.busy.pop(child)
        try:
            outcome = child.connection.recv()
        except (EOFError, OSError):
            return self._died(child, ticket)
        self.idle.append(child)
        return replace(outcome, index=ticket.index)

    def _died(self, child: Child, ticket: _Ticket) -> ItemOutcome[Any] | None:
        how = child.death()
        child.close()
        ticket.deaths += 1
        if ticket.deaths < 2:
            self.again.append(ticket)
            return None
        error = WorkerDiedError(
            "a worker process died twice on the same item",
            where=f"item {ticket.index}",
            got=f"{how}; item {short_repr(ticket.item)}",
            remedy="run this item with SerialExecutor to see the crash, or give the machine more memory",
        )
        return ItemOutcome(ticket.index, error=error)

    def close(self) -> None:
        for child in (*self.busy, *self.idle):
            child.close()
        self.busy.clear()
        self.idle.clear()


def _in_order(outcomes: Iterator[ItemOutcome[Any]]) -> Iterator[ItemOutcome[Any]]:
    early: dict[int, ItemOutcome[Any]] = {}
    following = 0
    for outcome in outcomes:
        early[outcome.index] = outcome
        while following in early:
            yield early.pop(following)
            following += 1


def _apply(function: Callable[[Any], Any], index: int, item: Any) -> ItemOutcome[Any]:
    try:
        return ItemOutcome(index, function(item))
    except Exception as error:
        return _failed(index, item, error)


def _failed(index: int, item: Any, error: Exception) -> ItemOutcome[Any]:
    text = "".join(traceback.format_exception(error))
    wrapped = ItemError(
        f"the work failed on one item: {type(error).__name__}: {error}",
        where=f"item {index}: {short_repr(item)}",
        got=text,
    )
    return ItemOutcome(index, error=wrapped, traceback=text)


def _serve(pipe: connection.Connection) -> None:
    while True:
        try:
            index, function, item = pipe.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # unpacking imports modules, and those raise what they like
            pipe.send(_failed(-1, "(unreadable)", error))
            continue
        outcome = _apply(function, index, item)
        try:
            pipe.send(outcome)
        except OSError:
            return
        except Exception as error:  # the value cannot be pickled
            pipe.send(ItemOutcome(index, error=not_picklable(outcome.value, error)))
