"""When a study may end: the plan's sequential test for every pair of policies, with the error rate kept over all pairs.

Over several pairs Holm's step-down procedure is applied at every moment (J. Bartroff and J. Song, "Sequential tests of
multiple hypotheses controlling type I and II familywise error rates", J. Stat. Plan. Inference 153, 2014). With ``m``
pairs of which ``k`` are decided, another one is decided once its tests at the levels ``alpha/(m-k)``,
``alpha/(m-k-1)``, … ``alpha`` have all stopped in its favour. Asking all of them makes the error rate hold whether or
not the tests of different levels are nested: a true null hypothesis that falls first has been rejected at the level
``alpha / (number of true null hypotheses)`` among others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robot_stack.evaluation.statistics.sequential import Decision, SequentialState, SequentialTest
from robot_stack.evaluation.trials.plan import Stopping, TrialPlan
from robot_stack.evaluation.trials.sealed_key import SealedKey
from robot_stack.evaluation.trials.state import TrialState

TestMaker = Callable[[Stopping, float], SequentialTest]
"""Makes the plan's test at a level."""


@dataclass(frozen=True)
class Verdict:
    """What the tests say of one pair of policies."""

    first: int
    """Number of a policy."""

    second: int
    """Number of another."""

    decision: Decision
    """Which is better, or that it is not known (yet)."""

    decided_at: int | None
    """Blocks after which it fell; ``None`` while it is open."""

    level: float
    """Error rate of the last test that had to agree."""

    text: str
    """The evidence, in a sentence."""


def make_test(stopping: Stopping, alpha: float) -> SequentialTest:
    """The test that a plan names, two-sided at this level."""
    if stopping.rule == "barnard":
        from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard

        return SequentialBarnard(n_max=stopping.n_max, alpha=alpha, alternative="two_sided")
    if stopping.rule == "pairs":
        from robot_stack.evaluation.statistics.sequential_pairs import SequentialPairs

        return SequentialPairs(n_max=stopping.n_max, alpha=alpha, alternative="two_sided")
    if stopping.rule == "e-process":
        from robot_stack.evaluation.statistics.e_process import EProcess

        return EProcess(alpha=alpha, alternative="two_sided", n_max=stopping.n_max)
    from robot_stack.evaluation.trials.fixed_number import FixedNumber

    return FixedNumber(stopping.n_max, alpha)


class StoppingRule:
    """The plan's rule over all pairs of policies: the same outcomes always give the same answer.

    What was computed for the first blocks is kept, so that one more block costs one more step.

    Args:
        plan: with its rule, error rate and policies.
        make: what makes a test; :func:`make_test` in earnest.
    """

    def __init__(self, plan: TrialPlan, make: TestMaker = make_test) -> None:
        self.pairs = plan.comparisons
        count = len(self.pairs)
        self.levels = [plan.stopping.alpha / (count - k) for k in range(count)]
        """From the strictest to the loosest."""
        self.tests = [make(plan.stopping, level) for level in self.levels]
        self._begin()

    def _begin(self) -> None:
        self._seen: list[tuple[int, ...]] = []
        self._states = {pair: [test.start() for test in self.tests] for pair in self.pairs}
        self._found: dict[tuple[int, int], Verdict] = {}

    def verdicts(self, outcomes: Sequence[Sequence[int]]) -> tuple[Verdict, ...]:
        """What can be said after these blocks, for every pair of policies.

        Args:
            outcomes: per block, in the plan's order, the success (0 or 1) of each policy, by its number.
        """
        given = [tuple(block) for block in outcomes]
        if given[: len(self._seen)] != self._seen:
            self._begin()
        for block in given[len(self._seen) :]:
            self._take(block)
        found, states = self._found, self._states
        return tuple(found.get(pair) or self._open(pair, states[pair], len(found)) for pair in self.pairs)

    def _take(self, block: tuple[int, ...]) -> None:
        self._seen.append(block)
        for pair in self.pairs:
            if pair not in self._found:
                mine, (first, second) = self._states[pair], pair
                self._states[pair] = [
                    test.update(state, block[first], block[second])
                    for test, state in zip(self.tests, mine, strict=True)
                ]
        while self._decide_one(len(self._seen)):
            pass

    def stops(self, outcomes: Sequence[Sequence[int]]) -> int | None:
        """After how many of these blocks every pair is settled; ``None`` while one is open."""
        verdicts = self.verdicts(outcomes)
        settled = [v.decided_at for v in verdicts if v.decided_at is not None]
        return max(settled) if len(settled) == len(verdicts) else None

    def _decide_one(self, number: int) -> bool:
        k = len(self._found)
        for pair in self.pairs:
            if pair in self._found:
                continue
            decisions = {state.decision for state in self._states[pair][k:]}
            if len(decisions) == 1 and (decision := decisions.pop()) in _BETTER:
                text = self.tests[k].describe(self._states[pair][k])
                self._found[pair] = Verdict(*pair, decision, number, self.levels[k], text)
                return True
        return False

    def _open(self, pair: tuple[int, int], states: list[SequentialState], decided: int) -> Verdict:
        k = min(decided, len(self.tests) - 1)
        text = self.tests[k].describe(states[k])
        if all(state.stopped for state in states[k:]):
            at = states[k].pairs
            return Verdict(*pair, Decision.UNDECIDED, at, self.levels[k], text)
        return Verdict(*pair, Decision.CONTINUE, None, self.levels[k], text)


_BETTER = (Decision.FIRST_BETTER, Decision.SECOND_BETTER)


def block_outcomes(state: TrialState, key: SealedKey, blocks: Sequence[int]) -> list[list[int]]:
    """Success of each policy, by its number, in each of these complete blocks."""
    out = []
    for block in blocks:
        row = [0] * state.required_plan.arms
        for place in range(len(row)):
            judgement = state.places[block, place][-1].judgement
            assert judgement is not None
            row[key.arm(block, place)] = int(judgement.success)
        out.append(row)
    return out


def decide(state: TrialState, key: SealedKey, rule: StoppingRule) -> int | None:
    """After how many counted blocks the study may end; ``None``: go on."""
    counted = state.counted_blocks()
    stop = rule.stops(block_outcomes(state, key, counted))
    if stop is None and state.exhausted():
        return len(counted)
    return stop
