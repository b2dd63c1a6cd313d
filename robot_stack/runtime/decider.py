"""The thread in which a served policy thinks: questions wait in a queue and are decided together where several do.

The thread that talks to clients never waits for a policy; it is handed futures.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError, RobotStackError, ShapeError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import PlanningDriver, RunningPlan
from robot_stack.runtime.served_policy import ServedPolicy


@dataclass(frozen=True, eq=False)
class Decision:
    """What came of one question."""

    chunks: tuple[ActionChunk, ...]
    """One for each slot that asked; none for a reset."""

    queue_s: float
    """How long it waited [s]."""

    work_s: float
    """How long the policy took [s]."""

    batch: int
    """Episodes decided together."""


@dataclass(eq=False)
class _Question:
    slots: tuple[int, ...]
    histories: tuple[tuple[Observation, ...], ...] = ()
    running: tuple[RunningPlan, ...] | None = None
    """For each slot what is carried out meanwhile, when all that the policy plans is wanted."""
    begins: tuple[str, int] | None = None
    """Instruction and seed of a reset."""
    leaves: bool = False
    """The slots are to be free again once what was asked before is over."""
    asked_s: float = field(default_factory=time.perf_counter)
    answer: Future[Decision] = field(default_factory=Future)


class Decider:
    """Owns a policy's slots and the thread it thinks in. Its methods may be called from any thread.

    Args:
        policy: what decides.
        slots: how many episodes at once.
    """

    def __init__(self, policy: ServedPolicy, slots: int) -> None:
        self.policy = policy
        self._free = deque(range(slots))
        self._waiting: list[_Question] = []
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._live, name="decider", daemon=True)
        self._thread.start()

    def take_slot(self) -> int | None:
        """A slot that is nobody's; ``None`` when all are taken."""
        with self._wake:
            return self._free.popleft() if self._free else None

    def release(self, slots: Sequence[int]) -> None:
        """Nobody asks for these slots any more; they are free when what is being decided for them is over."""
        self._put(_Question(tuple(slots), leaves=True))

    def reset(self, slot: int, instruction: str, seed: int) -> Future[Decision]:
        """A new episode begins."""
        return self._put(_Question((slot,), begins=(instruction, seed)))

    def act(
        self,
        slots: tuple[int, ...],
        histories: tuple[tuple[Observation, ...], ...],
        running: tuple[RunningPlan, ...] | None = None,
    ) -> Future[Decision]:
        """What to do next; a question whose future is cancelled before its turn is forgotten.

        Args:
            slots: which episodes ask.
            histories: for each its last observations.
            running: for each what is carried out meanwhile, to get all that the policy plans.
        """
        return self._put(_Question(slots, histories, running))

    def close(self, timeout_s: float = 5.0) -> None:
        """Answer nobody any more; a policy that does not come back is left behind after ``timeout_s``."""
        with self._wake:
            self._closed = True
            for question in self._waiting:
                question.answer.cancel()
            self._waiting.clear()
            self._wake.notify()
        self._thread.join(timeout_s)

    def _put(self, question: _Question) -> Future[Decision]:
        with self._wake:
            if self._closed:
                question.answer.cancel()
            else:
                self._waiting.append(question)
                self._wake.notify()
        return question.answer

    # --- in the thread

    def _live(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                questions, self._waiting = self._waiting, []
            self._work(questions)

    def _work(self, questions: list[_Question]) -> None:
        """In the order they came, but neighbours that ask for actions are decided together."""
        together: list[_Question] = []
        for question in questions:
            asks = question.begins is None and not question.leaves
            taken = {slot for other in together for slot in other.slots}
            alike = not together or (together[0].running is None) == (question.running is None)
            if not asks or not alike or taken & set(question.slots):
                self._decide(together)
                together = []
            if question.leaves:
                with self._wake:
                    self._free.extend(question.slots)
            elif question.answer.set_running_or_notify_cancel():
                if question.begins is not None:
                    self._begin(question, *question.begins)
                else:
                    together.append(question)
        self._decide(together)

    def _begin(self, question: _Question, instruction: str, seed: int) -> None:
        began = time.perf_counter()
        try:
            self.policy.driver.reset(question.slots[0], instruction, seed)
        except Exception as error:
            question.answer.set_exception(error)
            return
        now = time.perf_counter()
        question.answer.set_result(Decision((), began - question.asked_s, now - began, 1))

    def _decide(self, questions: list[_Question]) -> None:
        if not questions:
            return
        began = time.perf_counter()
        slots = [slot for question in questions for slot in question.slots]
        try:
            running = [plan for question in questions for plan in question.running or ()]
            chunks = self._chunks(
                slots,
                [history for question in questions for history in question.histories],
                None if questions[0].running is None else running,
            )
        except Exception as error:
            if len(questions) == 1:
                questions[0].answer.set_exception(error)
                return
            for question in questions:  # one of them is to blame: the others are not to suffer for it
                self._decide([question])
            return
        work_s, start = time.perf_counter() - began, 0
        for question in questions:
            mine = tuple(chunks[start : start + len(question.slots)])
            start += len(question.slots)
            question.answer.set_result(Decision(mine, began - question.asked_s, work_s, len(slots)))

    def _chunks(
        self, slots: list[int], histories: list[tuple[Observation, ...]], running: list[RunningPlan] | None
    ) -> list[ActionChunk]:
        driver = self.policy.driver
        if running is not None and isinstance(driver, PlanningDriver):
            chunks = driver.plan(slots, histories, running)
        else:
            chunks = driver.act(slots, histories)
        if len(chunks) != len(slots):
            raise ShapeError("a driver answered the wrong number of episodes", got=len(chunks), expected=len(slots))
        size = self.policy.embodiment.action_size
        for chunk in chunks:
            if chunk.actions.shape[1] != size:
                raise ShapeError(
                    "a driver decided on actions of the wrong size", got=chunk.actions.shape, expected=size
                )
        return chunks


def no_slot_free(slots: int) -> RobotStackError:
    """The error for a client that wants more episodes than there is room for."""
    return ConfigError(
        "the policy server has no room for another episode",
        got=f"{slots} episodes at once",
        remedy="let a client go, or start the server with more --max-slots",
    )
