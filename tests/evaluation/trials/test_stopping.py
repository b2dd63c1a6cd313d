from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from robot_stack.core.seeding import generator
from robot_stack.evaluation.statistics.sequential import Alternative, Decision, SequentialState, SequentialTest, fold
from robot_stack.evaluation.trials.fixed_number import FixedNumber
from robot_stack.evaluation.trials.plan import Stopping
from robot_stack.evaluation.trials.power import detectable, power_of, trials_needed
from robot_stack.evaluation.trials.stopping import StoppingRule, block_outcomes, decide
from robot_stack.evaluation.trials.store import TrialStore
from tests.evaluation.trials.studies import make_plan, make_store, run_study


def test_the_fixed_rule_is_one_exact_test_at_the_end() -> None:
    test = FixedNumber(20, 0.05)
    assert isinstance(test, SequentialTest)
    early = fold(test, [(0, 1)] * 19)
    assert early.decision is Decision.CONTINUE
    outcomes = [(i < 7, i < 14) for i in range(20)]
    state = fold(test, outcomes)
    # scipy's documentation of boschloo_exact and the anchors: 7/20 v 14/20 one-sided p = .019242
    assert state.numbers[2] == pytest.approx(0.019242, abs=2e-5)
    assert state.decision is Decision.SECOND_BETTER
    assert fold(test, [(b, a) for a, b in outcomes]).decision is Decision.FIRST_BETTER
    assert fold(FixedNumber(20, 0.03), outcomes).decision is Decision.UNDECIDED
    assert fold(test, [(1, 1)] * 20).decision is Decision.UNDECIDED, "no variance, no difference"
    assert fold(test, [(0, 1)] * 25).pairs == 25


def test_two_policies_get_the_whole_error_rate() -> None:
    rule = StoppingRule(make_plan(n_max=30))
    assert rule.levels == [0.05]
    (verdict,) = rule.verdicts([[0, 1]] * 30)
    alone = fold(rule.tests[0], [(0, 1)] * 30)
    assert verdict.decision is Decision.SECOND_BETTER and verdict.decided_at == alone.decided_at
    assert verdict.decided_at is not None and 4 <= verdict.decided_at <= 12
    assert rule.stops([[0, 1]] * (verdict.decided_at - 1)) is None


def test_several_policies_share_it_by_holm() -> None:
    rule = StoppingRule(make_plan(arms=3, n_max=60))
    assert rule.levels == pytest.approx([0.05 / 3, 0.025, 0.05])
    rng = generator(5)
    outcomes = [[int(rng.random() < p) for p in (0.1, 0.45, 0.95)] for _ in range(60)]
    verdicts = {(v.first, v.second): v for v in rule.verdicts(outcomes)}
    assert all(v.decision is Decision.SECOND_BETTER for v in verdicts.values())
    order = sorted(verdicts.values(), key=lambda v: v.decided_at or 0)
    assert [v.level for v in order] == pytest.approx(rule.levels), "each decision loosens the next"
    strict = StoppingRule(make_plan(arms=3, n_max=60)).tests[0]
    for verdict in order:
        alone = fold(strict, [(block[verdict.first], block[verdict.second]) for block in outcomes])
        assert alone.decided_at is None or (verdict.decided_at or 99) <= alone.decided_at


def test_what_is_kept_changes_no_answer() -> None:
    rng = generator(8)
    plan = make_plan(arms=3, n_max=30)
    kept = StoppingRule(plan)
    outcomes = (rng.random((30, 3)) < (0.2, 0.5, 0.9)).astype(int).tolist()
    for n in (5, 6, 20, 3, 12, 30, 29):
        assert kept.verdicts(outcomes[:n]) == StoppingRule(plan).verdicts(outcomes[:n])
    outcomes[2] = [1 - x for x in outcomes[2]]  # a label was taken back and given anew
    assert kept.verdicts(outcomes) == StoppingRule(plan).verdicts(outcomes)


def test_a_difference_found_stands_whatever_comes_after() -> None:
    rule = StoppingRule(make_plan(arms=3, n_max=40))
    outcomes = [[0, 1, 1]] * 12 + [[1, 0, 1]] * 20
    found: set[tuple[int, int]] = set()
    for n in range(len(outcomes)):
        now = {(v.first, v.second) for v in rule.verdicts(outcomes[:n]) if v.decision is Decision.SECOND_BETTER}
        assert found <= now
        found |= now
    assert (0, 1) in found


def test_the_chance_of_any_false_difference_among_equals_is_at_most_alpha() -> None:
    rule = StoppingRule(make_plan(arms=3, n_max=40, stopping=Stopping("barnard", 0.2, 40)))
    rng = generator(11)
    studies, wrong = 400, 0
    for _ in range(studies):
        outcomes = (rng.random((40, 3)) < 0.5).astype(int).tolist()
        wrong += any(v.decision in (Decision.FIRST_BETTER, Decision.SECOND_BETTER) for v in rule.verdicts(outcomes))
    assert wrong / studies <= 0.2 + 3 * (0.2 * 0.8 / studies) ** 0.5
    assert wrong > 0.02 * studies, "the test is not asleep"


@pytest.mark.parametrize("rule", ["barnard", "fixed"])
def test_a_study_ends_by_its_rule(tmp_path: Path, rule: str) -> None:
    with TrialStore(make_store(tmp_path / "s", make_plan(n_max=20, rule=rule))) as store:
        run_study(store, (0.0, 1.0))
        state = store.state
        assert state.decided_at is not None
        assert state.decided_at == 20 if rule == "fixed" else state.decided_at < 12
        outcomes = block_outcomes(state, store.key(), state.counted_blocks())
        assert outcomes == [[0, 1]] * state.decided_at
        assert decide(state, store.key(), StoppingRule(store.plan)) == state.decided_at


def test_equal_policies_end_undecided_at_n_max(tmp_path: Path) -> None:
    with TrialStore(make_store(tmp_path / "s", make_plan(n_max=10))) as store:
        run_study(store, (0.5, 0.5))
        assert store.state.decided_at == 10
        (verdict,) = StoppingRule(store.plan).verdicts(block_outcomes(store.state, store.key(), range(10)))
        assert verdict.decision is Decision.UNDECIDED


def test_power_is_exact_where_it_can_be_and_grows_with_trials() -> None:
    found = [power_of(Stopping("barnard", 0.1, n), 0.5, 0.9) for n in (10, 20, 40)]
    assert all(f.exact for f in found)
    assert all(a.power < b.power for a, b in pairwise(found))
    # STEP at n_max 50, one-sided alpha 0.05, finds 0.5 -> 0.9 with power 0.8 after 24 pairs
    assert power_of(Stopping("barnard", 0.1, 50), 0.5, 0.9).power > 0.95
    null = power_of(Stopping("barnard", 0.1, 40), 0.6, 0.6)
    assert null.power == 0.0 and 0.02 < null.wrong <= 0.1
    assert power_of(Stopping("barnard", 0.1, 40), 0.5, 0.9, comparisons=3).power < found[-1].power


class Plain:
    """A test that does not know its own power."""

    def __init__(self, inside: FixedNumber) -> None:
        self.inside, self.alpha, self.n_max = inside, inside.alpha, inside.n_max
        self.alternative: Alternative = inside.alternative

    def start(self) -> SequentialState:
        return self.inside.start()

    def update(self, state: SequentialState, first: float, second: float) -> SequentialState:
        return self.inside.update(state, first, second)

    def describe(self, state: SequentialState) -> str:
        return self.inside.describe(state)


def test_power_is_simulated_where_it_must_be() -> None:
    stopping = Stopping("fixed", 0.1, 20)
    exact = power_of(stopping, 0.5, 0.9)
    found = power_of(stopping, 0.5, 0.9, make=lambda s, a: Plain(FixedNumber(s.n_max, a)))
    assert exact.exact and not found.exact
    assert exact.power == pytest.approx(0.888, abs=0.001)  # Barnard's test has .866
    assert found.power == pytest.approx(exact.power, abs=4 * (0.888 * 0.112 / 2000) ** 0.5)


def test_trials_needed_and_the_smallest_difference_agree() -> None:
    stopping = Stopping("barnard", 0.1, 40)
    needed = trials_needed(stopping, 0.4, 0.9)
    assert needed is not None and needed.power >= 0.8
    assert power_of(Stopping("barnard", 0.1, needed.n_max - 6), 0.4, 0.9).power < 0.8
    assert trials_needed(stopping, 0.5, 0.52, most=40) is None
    rate = detectable(stopping, 0.4)
    assert rate is not None
    assert power_of(stopping, 0.4, rate).power >= 0.8 > power_of(stopping, 0.4, rate - 0.01).power
    assert detectable(stopping, 0.99) is None
