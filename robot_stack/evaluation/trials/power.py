"""How many trials are needed for which difference, before anybody runs one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.statistics.operating import Operating, PairLaw, pair_law
from robot_stack.evaluation.statistics.sequential import Decision, SequentialTest
from robot_stack.evaluation.trials.plan import Stopping
from robot_stack.evaluation.trials.stopping import TestMaker, make_test

REPEATS = 2000
"""Simulated studies for a rule whose power is not computed exactly."""


@dataclass(frozen=True)
class Power:
    """What a rule does when two policies have these success rates."""

    first: float
    """Success rate of one policy."""

    second: float
    """Success rate of the other."""

    n_max: int
    """Trials of each policy at most."""

    power: float
    """Chance that the better one is called better."""

    wrong: float
    """Chance that the worse one is called better; for equal rates, that either is."""

    expected_trials: float
    """Mean number of trials of each policy."""

    exact: bool
    """Computed exactly; otherwise from :data:`REPEATS` simulated studies."""


@runtime_checkable
class _Computes(Protocol):
    """A test that knows how it behaves."""

    def operating(self, law: PairLaw) -> Operating:
        """Its behaviour under this law of the outcomes."""
        ...


def power_of(
    stopping: Stopping,
    first: float,
    second: float,
    *,
    comparisons: int = 1,
    make: TestMaker = make_test,
) -> Power:
    """Power for one pair of success rates, outcomes within a block taken as independent.

    Args:
        stopping: rule, error rate and largest number of trials.
        first: success rate of one policy.
        second: success rate of the other.
        comparisons: pairs of policies; each is tested at ``alpha / comparisons``, the strictest level of Holm.
        make: what makes the test.
    """
    test = make(stopping, stopping.alpha / comparisons)
    law = pair_law(first, second)
    if isinstance(test, _Computes):
        found = test.operating(law)
        first_better, second_better, mean, exact = found.first_better, found.second_better, found.expected_pairs, True
    else:
        first_better, second_better, mean, exact = *_simulate(test, stopping.n_max, first, second), False
    if first == second:
        power, wrong = 0.0, first_better + second_better
    else:
        power, wrong = (second_better, first_better) if second > first else (first_better, second_better)
    return Power(first, second, stopping.n_max, float(power), float(wrong), float(mean), exact)


def trials_needed(
    stopping: Stopping,
    first: float,
    second: float,
    *,
    power: float = 0.8,
    comparisons: int = 1,
    most: int = 400,
    make: TestMaker = make_test,
) -> Power | None:
    """The smallest ``n_max``, to within five, that has this power; ``None`` when even ``most`` has not.

    Args:
        stopping: rule and error rate; its ``n_max`` is not used.
        first: success rate of one policy.
        second: success rate of the other.
        power: wanted chance of finding the difference.
        comparisons: see :func:`power_of`.
        most: largest ``n_max`` tried.
        make: what makes the test.
    """
    if first == second or not 0 < power < 1:
        raise ConfigError("a power calculation needs a difference, and a power between 0 and 1", got=(first, second))

    def at(n_max: int) -> Power:
        return power_of(
            Stopping(stopping.rule, stopping.alpha, n_max), first, second, comparisons=comparisons, make=make
        )

    low, high, found = 0, 10, at(10)
    while found.power < power:
        if high >= most:
            return None
        low, high = high, min(most, high * 2)
        found = at(high)
    while high - low > 5:
        middle = (low + high) // 2
        tried = at(middle)
        if tried.power >= power:
            high, found = middle, tried
        else:
            low = middle
    return found


def detectable(
    stopping: Stopping, first: float, *, power: float = 0.8, comparisons: int = 1, make: TestMaker = make_test
) -> float | None:
    """The smallest success rate above ``first``, to within 0.005, that is found with this power; ``None``: not even 1.

    Args:
        stopping: rule, error rate and largest number of trials.
        first: success rate of the worse policy.
        power: wanted chance of finding the difference.
        comparisons: see :func:`power_of`.
        make: what makes the test.
    """

    def enough(rate: float) -> bool:
        return power_of(stopping, first, rate, comparisons=comparisons, make=make).power >= power

    if first >= 1.0 or not enough(1.0):
        return None
    low, high = first, 1.0
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return round(high, 3)


def _simulate(test: SequentialTest, n_max: int, first: float, second: float) -> tuple[float, float, float]:
    rng = generator(20240707, round(first * 1e6), round(second * 1e6), n_max)
    counts, pairs = {Decision.FIRST_BETTER: 0, Decision.SECOND_BETTER: 0}, 0
    for _ in range(REPEATS):
        outcomes = rng.random((n_max, 2)) < (first, second)
        state = test.start()
        for one, other in outcomes.tolist():
            state = test.update(state, one, other)
            if state.stopped:
                break
        pairs += state.pairs
        if state.decision in counts:
            counts[state.decision] += 1
    return counts[Decision.FIRST_BETTER] / REPEATS, counts[Decision.SECOND_BETTER] / REPEATS, pairs / REPEATS
