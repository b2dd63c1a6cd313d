"""What every test that looks at the data after each pair of trials has in common.

A test is plain, frozen data; so is its state. Feeding a pair of outcomes gives a new state, so the state of a trial is
the fold of its log, and a crash is resumed by replaying. The same outcomes in the same order always give the same
decision.

Usage::

    test = SequentialBarnard(n_max=200, alpha=0.05)  # or any other SequentialTest
    state = test.start()
    for first, second in outcomes:  # one pair of trials: the first policy's outcome and the second policy's
        state = test.update(state, first, second)
        if state.stopped:
            break
    text = test.describe(state)

Once decided, a decision stands: pairs that were already under way may still be fed and are counted, nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

from robot_stack.core.errors import ConfigError, require_name

Alternative = Literal["second_better", "first_better", "two_sided"]
"""What a test looks for. ``"two_sided"`` is both one-sided tests, each at half the error rate: it says which is
better, and calls either of two equal policies better with probability at most alpha in all."""

ALTERNATIVES: tuple[Alternative, ...] = ("second_better", "first_better", "two_sided")
"""Every valid alternative."""


class Decision(str, Enum):
    """What a sequential test says after a pair; the values are what JSON files hold."""

    CONTINUE = "continue"
    """Nothing is decided; run the next pair."""

    FIRST_BETTER = "first_better"
    """Stop: the first policy is better."""

    SECOND_BETTER = "second_better"
    """Stop: the second policy is better."""

    UNDECIDED = "undecided"
    """Stop: ``n_max`` is reached and neither policy was shown to be better. That is not a proof of equality."""


@dataclass(frozen=True)
class SequentialState:
    """Where a sequential test stands: plain data that survives JSON."""

    pairs: int = 0
    """Pairs fed so far, those after the decision included."""

    decision: Decision = Decision.CONTINUE
    """What the test says now."""

    decided_at: int | None = None
    """Number of pairs at which it stopped; ``None`` while it goes on."""

    numbers: tuple[float, ...] = ()
    """The test's own sufficient statistics up to the decision; only the test that made them reads them."""

    @property
    def stopped(self) -> bool:
        """Whether no further pair is wanted."""
        return self.decision is not Decision.CONTINUE


@runtime_checkable
class SequentialTest(Protocol):
    """A rule that may stop after any pair of trials and keeps its error rate all the same."""

    @property
    def alpha(self) -> float:
        """Probability with which it may call one of two equal policies better, over the whole trial."""
        ...

    @property
    def alternative(self) -> Alternative:
        """What it looks for."""
        ...

    @property
    def n_max(self) -> int | None:
        """Pairs after which it stops undecided; ``None`` if it may go on for ever."""
        ...

    def start(self) -> SequentialState:
        """The state before the first pair."""
        ...

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        """The state after one more pair.

        Args:
            state: what ``start`` or the previous ``update`` returned.
            first: outcome of the first policy: 0 or 1 for tests of success, a score in [0, 1] for tests of scores.
            second: outcome of the second policy.

        Raises:
            ConfigError: if an outcome is out of range.
        """
        ...

    def describe(self, state: SequentialState) -> str:
        """One sentence for people: the decision and the evidence."""
        ...


def fold(test: SequentialTest, outcomes: Iterable[tuple[float, float]]) -> SequentialState:
    """The state after all these pairs, in their order.

    Args:
        test: the rule.
        outcomes: ``(first, second)`` for each pair.
    """
    state = test.start()
    for first, second in outcomes:
        state = test.update(state, first, second)
    return state


def advance(
    state: SequentialState, decision: Decision, numbers: tuple[float, ...], n_max: int | None
) -> SequentialState:
    """The next state, for those who write a test: counts the pair and stops at ``n_max``.

    Args:
        state: before the pair; must not have stopped.
        decision: what the evidence says after the pair.
        numbers: statistics after the pair.
        n_max: pairs after which an open question stays undecided.
    """
    pairs = state.pairs + 1
    if decision is Decision.CONTINUE and n_max is not None and pairs >= n_max:
        decision = Decision.UNDECIDED
    return SequentialState(pairs, decision, None if decision is Decision.CONTINUE else pairs, numbers)


def overrun(state: SequentialState) -> SequentialState:
    """The state after a pair that was under way when the decision fell: counted, and nothing more."""
    return SequentialState(state.pairs + 1, state.decision, state.decided_at, state.numbers)


def check_alpha(alpha: float) -> None:
    """Refuse an error rate that is none.

    Raises:
        ConfigError: unless 0 < alpha < 1/2.
    """
    if not (math.isfinite(alpha) and 0 < alpha < 0.5):
        raise ConfigError(
            "the error rate alpha is out of range", got=alpha, expected="above 0 and below 0.5, e.g. 0.05"
        )


def check_rule(alpha: float, alternative: str, n_max: int | None, *, n_most: int | None = None) -> None:
    """Refuse parameters of a sequential test that make no sense.

    Args:
        alpha: the error rate.
        alternative: what it looks for.
        n_max: pairs after which it stops, or ``None``.
        n_most: the largest ``n_max`` that the test can compute, or ``None``.

    Raises:
        ConfigError: if alpha or n_max is out of range.
        UnknownNameError: if there is no such alternative.
    """
    check_alpha(alpha)
    require_name("alternative", alternative, ALTERNATIVES)
    if n_max is not None and (n_max < 1 or (n_most is not None and n_max > n_most)):
        expected = "at least 1" if n_most is None else f"1 to {n_most}"
        raise ConfigError("the largest number of pairs is out of range", got=n_max, expected=expected)


def success(outcome: float) -> int:
    """An outcome as 0 or 1.

    Raises:
        ConfigError: if it is neither.
    """
    if outcome not in (0, 1):
        raise ConfigError(
            "an outcome of a success test is neither 0 nor 1",
            got=outcome,
            expected="0, 1, False or True",
            remedy="use a test of scores for outcomes between 0 and 1, or exclude the trial",
        )
    return int(outcome)


def score(outcome: float) -> float:
    """An outcome as a score.

    Raises:
        ConfigError: if it is not a finite number in [0, 1].
    """
    if not 0 <= outcome <= 1:  # refuses NaN as well
        raise ConfigError("a score is out of range", got=outcome, expected="a number from 0 to 1")
    return float(outcome)
