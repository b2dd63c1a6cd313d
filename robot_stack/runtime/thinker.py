"""The thread in which a robot's policy is asked, so that nothing else ever waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import BatchDriver
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.running_plan import PlanningDriver
from robot_stack.runtime.async_driver import Ask


@dataclass(frozen=True, eq=False)
class Thought:
    """What came of one question."""

    ask: Ask
    """The question."""

    chunk: ActionChunk | None = None
    """The answer; ``None`` when there is none."""

    continued: bool = False
    """The policy was held to the running plan."""

    error: Exception | None = None
    """Why there is no answer."""


Heard = Callable[[Thought], None]
"""Told of each question's end, in the thinker's thread."""


def think(driver: BatchDriver, slot: int, ask: Ask, action_size: int) -> Thought:
    """Ask a driver, by what it can do: drivers that plan on are told what is carried out, others are not.

    Args:
        driver: decides.
        slot: which of its episodes asks.
        ask: the question.
        action_size: numbers in an action of this robot.

    Raises:
        ShapeError: if the answer has another size.
        NonFiniteError: if a number of it is not finite.
    """
    continued = False
    if isinstance(driver, PlanningDriver):
        continued = driver.continues and ask.running.binding
        chunk = driver.plan([slot], [ask.history], [ask.running])[0]
    else:
        chunk = driver.act([slot], [ask.history])[0]
    if chunk.actions.shape[1] != action_size:
        raise ShapeError(
            "a policy answered with actions of another robot", got=chunk.actions.shape, expected=action_size
        )
    if not abs(chunk.actions).max() < float("inf"):
        raise NonFiniteError("a policy answered with actions that are not finite", got="NaN or infinity")
    return Thought(ask, chunk, continued)


class Thinker:
    """Owns the thread. Questions are answered in order; the caller sees to it that they are few.

    Args:
        heard: told of every end.
        action_size: numbers in an action of this robot.
        slot: which of the driver's episodes this is.
    """

    def __init__(self, heard: Heard, action_size: int, slot: int = 0) -> None:
        self.driver: BatchDriver | None = None
        """Decides; called from this thread only. Set by what :meth:`do` does before the first question."""
        self._heard, self._size, self._slot = heard, action_size, slot
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="thinker", daemon=True)
        self._thread.start()

    def ask(self, ask: Ask) -> None:
        """Put a question; returns at once."""
        self._work.put(lambda: self._heard(self._answer(ask)))

    def do(self, work: Callable[[], None]) -> None:
        """Do something else with the driver between questions, for example begin an episode; returns at once.

        Args:
            work: raises nothing.
        """
        self._work.put(work)

    def close(self, timeout_s: float = 2.0) -> bool:
        """End after what is under way.

        Returns:
            Whether it has ended; a policy that does not come back is left behind after ``timeout_s``.
        """
        self._work.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _live(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _answer(self, ask: Ask) -> Thought:
        try:
            if self.driver is None:
                raise ConfigError("there is no policy yet")
            return think(self.driver, self._slot, ask, self._size)
        except Exception as error:  # whatever a policy raises ends this question and nothing else
            return Thought(ask, error=error)
