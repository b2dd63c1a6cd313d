"""The sequential Barnard test: exact error rate, brute force, published cases, bad input."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.evaluation.statistics import regions_cache
from robot_stack.evaluation.statistics.barnard_regions import build_regions
from robot_stack.evaluation.statistics.nuisance import at
from robot_stack.evaluation.statistics.operating import operating, pair_law
from robot_stack.evaluation.statistics.regions_cache import cached_regions, load_regions, save_regions
from robot_stack.evaluation.statistics.sequential import Decision, SequentialState, SequentialTest, fold
from robot_stack.evaluation.statistics.sequential_barnard import SequentialBarnard


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def one_sided(n_max: int, alpha: float = 0.05) -> SequentialBarnard:
    return SequentialBarnard(n_max, alpha, "second_better")


@pytest.mark.parametrize(("n_max", "alpha"), [(1, 0.05), (5, 0.05), (37, 0.05), (100, 0.025), (200, 0.05), (60, 0.01)])
def test_the_error_rate_is_kept_everywhere(n_max: int, alpha: float) -> None:
    regions = build_regions(n_max, alpha)
    assert regions.size.bound <= alpha
    test_rates = np.concatenate([np.linspace(0, 1, 24), [1e-4, 0.003, 0.01, 0.99, regions.size.at]])
    rates = [operating(regions.thresholds, None, pair_law(p, p)).second_better for p in test_rates]
    assert max(rates) <= regions.size.bound + 1e-12
    assert rates[-1] == pytest.approx(regions.size.value, abs=1e-10)


@pytest.mark.parametrize(("n_max", "alpha"), [(40, 0.05), (120, 0.025), (6, 1e-4)])
def test_the_error_rate_on_a_dense_grid_from_the_thresholds_alone(n_max: int, alpha: float) -> None:
    """Counts of paths instead of the builder's own propagation, at rates between those it controls."""
    thresholds = build_regions(n_max, alpha).thresholds
    paths, rejected = {(0, 0): 1}, np.zeros(2 * n_max + 1)
    for t in range(1, n_max + 1):
        after: dict[tuple[int, int], int] = {}
        for (s0, s1), count in paths.items():
            for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
                after[s0 + a, s1 + b] = after.get((s0 + a, s1 + b), 0) + count
        paths = {(s0, s1): count for (s0, s1), count in after.items() if s1 < thresholds[t, s0]}
    for (s0, s1), count in paths.items():
        rejected[s0 + s1] += count / math.comb(2 * n_max, s0 + s1)
    rates = at(1 - rejected, np.linspace(0, 1, 4001))
    assert rates.max() <= alpha
    assert rates.max() > 0.9 * alpha or n_max < 10


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.0), (0.3, 0.3), (0.5, 0.9), (0.9, 0.4), (0.2, 1.0)])
def test_operating_figures_against_every_possible_trial(first: float, second: float) -> None:
    test = SequentialBarnard(4, 0.3, "two_sided")
    law = pair_law(first, second, 0.0)
    chances = dict(zip([(0, 0), (0, 1), (1, 0), (1, 1)], asdict(law).values(), strict=True))
    totals = dict.fromkeys(Decision, 0.0)
    pairs = 0.0
    for path in itertools.product(chances, repeat=4):
        weight = float(np.prod([chances[pair] for pair in path]))
        state = fold(test, path)
        totals[state.decision] += weight
        pairs += weight * (state.decided_at or 0)
    exact = test.operating(law)
    assert exact.second_better == pytest.approx(totals[Decision.SECOND_BETTER], abs=1e-12)
    assert exact.first_better == pytest.approx(totals[Decision.FIRST_BETTER], abs=1e-12)
    assert exact.expected_pairs == pytest.approx(pairs, abs=1e-12)
    assert totals[Decision.SECOND_BETTER] + totals[Decision.FIRST_BETTER] > 0 or first == second == 0


def test_a_worse_second_policy_is_never_riskier_than_an_equal_one() -> None:
    test = one_sided(30)
    for first, second in itertools.product(np.linspace(0, 1, 11), repeat=2):
        if second <= first:
            assert test.operating(pair_law(first, second)).second_better <= test.regions.size.bound


def test_regions_are_monotone_and_treat_success_and_failure_alike() -> None:
    n_max = 60
    regions = build_regions(n_max, 0.05)
    for t in range(1, n_max + 1):
        assert (np.diff(regions.thresholds[t, : t + 1]) >= 0).all()
        for s0, s1 in itertools.product(range(t + 1), repeat=2):
            assert regions.rejects(t, s0, s1) == regions.rejects(t, t - s1, t - s0)
            assert not (s1 <= s0 and regions.rejects(t, s0, s1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40), st.data())
def test_better_outcomes_of_the_second_never_delay_its_win(outcomes, data) -> None:
    test = one_sided(40)
    before = fold(test, outcomes)
    i = data.draw(st.integers(0, len(outcomes) - 1))
    better = [*outcomes[:i], (False, True), *outcomes[i + 1 :]]
    after = fold(test, better)
    if before.decision is Decision.SECOND_BETTER:
        assert after.decision is Decision.SECOND_BETTER
        assert (after.decided_at or 0) <= (before.decided_at or 0)


def test_exchanging_the_policies_mirrors_the_decision() -> None:
    test = SequentialBarnard(50, 0.1)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        pairs = (rng.random((50, 2)) < rng.random(2)).tolist()
        one, other = fold(test, pairs), fold(test, [(b, a) for a, b in pairs])
        mirror = {Decision.FIRST_BETTER: Decision.SECOND_BETTER, Decision.SECOND_BETTER: Decision.FIRST_BETTER}
        assert other.decision is mirror.get(one.decision, one.decision)
        assert other.decided_at == one.decided_at
        seen.add(one.decision)
    assert len(seen) >= 3


STEP_POWER = [  # n_max, rates, power and mean pairs of STEP, one-sided alpha 0.05, exact
    (50, 0.5, 0.7, 0.586, None),
    (50, 0.5, 0.8, 0.909, None),
    (50, 0.7, 0.9, 0.756, None),
    (100, 0.5, 0.7, 0.847, 57.8),
    (100, 0.7, 0.9, 0.958, 45.7),
    (200, 0.5, 0.7, 0.9854, 75.3),
    (200, 0.8, 0.9, 0.8243, 119.2),
    # near 0 and 1, where adding whole levels of the pooled z statistic lost up to 0.11 to STEP:
    (50, 0.0, 0.1, 0.683, None),
    (50, 0.9, 0.95, 0.187, None),
    (100, 0.0, 0.1, 0.983, 52.1),
]


@pytest.mark.parametrize(("n_max", "first", "second", "power", "mean"), STEP_POWER)
def test_power_beside_the_published_test(n_max, first, second, power, mean) -> None:
    got = one_sided(n_max).operating(pair_law(first, second))
    assert got.second_better >= power - 0.02
    if first < 0.1 or second > 0.9:
        assert got.second_better > power + 0.005
    if mean is not None:
        assert got.expected_pairs <= mean + 0.5


@pytest.mark.parametrize(
    ("pairs", "step", "slack"),
    [
        ([(0, 1)] * 30, 9, 0),
        ([(0, 1), (1, 1)] * 20, 13, 0),
        ([(0, 1), (0, 1), (0, 1), (1, 0)] * 15, 15, 0),
        ([(0, 1), (0, 1), (1, 0)] * 30, 32, 0),
    ],
)
def test_reference_sequences_are_decided_no_later_than_by_step(pairs, step, slack) -> None:
    state = fold(one_sided(200), pairs)
    assert state.decision is Decision.SECOND_BETTER
    assert 1 < (state.decided_at or 0) <= step + slack


def test_identical_outcomes_decide_nothing_and_end_undecided() -> None:
    test = SequentialBarnard(40)
    state = fold(test, [(0, 0), (1, 1)] * 20)
    assert state.decision is Decision.UNDECIDED and state.decided_at == 40 and state.stopped
    assert fold(test, [(0, 0)] * 39).decision is Decision.CONTINUE
    assert "undecided after 40 pairs: first 20/40, second 20/40" in test.describe(state)


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.5])
def test_equal_initial_conditions_make_it_conservative(rho: float) -> None:
    test = one_sided(100)
    assert test.operating(pair_law(0.5, 0.5, rho)).second_better < 0.04
    assert test.operating(pair_law(0.5, 0.5, -rho)).second_better > 0.06


def test_a_decision_stands_and_late_pairs_are_counted() -> None:
    test = SequentialBarnard(50)
    decided = fold(test, [(0, 1)] * 10)
    assert decided.decision is Decision.SECOND_BETTER
    later = fold(test, [(0, 1)] * 10 + [(1, 0)] * 40)
    assert (later.decision, later.decided_at, later.numbers) == (decided.decision, decided.decided_at, decided.numbers)
    assert later.pairs == 50


def test_state_survives_json_and_folding_resumes_anywhere() -> None:
    test, rng = SequentialBarnard(60), np.random.default_rng(1)
    pairs = (rng.random((60, 2)) < (0.3, 0.6)).astype(int).tolist()
    state = test.start()
    for i, (a, b) in enumerate(pairs):
        state = test.update(state, a, b)
        raw = json.loads(json.dumps(asdict(state)))
        raw["decision"], raw["numbers"] = Decision(raw["decision"]), tuple(raw["numbers"])
        assert SequentialState(**raw) == state == fold(test, pairs[: i + 1])
    assert isinstance(test, SequentialTest)


def test_bad_input_is_refused() -> None:
    for n_max, alpha in ((9, 0.0), (9, 0.7), (9, float("nan")), (0, 0.05), (5000, 0.05)):
        with pytest.raises(ConfigError):
            SequentialBarnard(n_max, alpha)
    with pytest.raises(UnknownNameError):
        SequentialBarnard(alternative="second_beter")  # pyright: ignore[reportArgumentType]
    test = SequentialBarnard(20)
    for outcome in (0.5, -1, 2, float("nan")):
        with pytest.raises(ConfigError):
            test.update(test.start(), outcome, 1)
    for law in ((-0.1, 0.5, 0), (0.5, 1.2, 0), (0.5, 0.5, 1.5), (0.1, 0.9, 0.9), (0.0, float("nan"), 0)):
        with pytest.raises(ConfigError):
            pair_law(*law)
    with pytest.raises(ConfigError):
        build_regions(10, 0.05, spending=0.0)


def test_the_cache_gives_the_same_regions_and_survives_damage(tmp_path, monkeypatch) -> None:
    regions = build_regions(25, 0.04)
    path = tmp_path / "regions.npz"
    save_regions(path, regions)
    again = load_regions(path, 25, 0.04, 1.0)
    assert again is not None and again.fingerprint == regions.fingerprint and again.size == regions.size
    assert load_regions(path, 25, 0.05, 1.0) is None and load_regions(path, 24, 0.04, 1.0) is None
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" + whole[1:], whole[:200] + b"\0\0\0\0" + whole[204:]):
        path.write_bytes(damaged)
        assert load_regions(path, 25, 0.04, 1.0) is None
    calls = []
    monkeypatch.setattr(regions_cache, "build_regions", lambda *a: calls.append(a) or build_regions(*a))
    folder = tmp_path / "new"
    first = cached_regions(22, 0.05, 1.0, folder)
    cached_regions.cache_clear()
    assert cached_regions(22, 0.05, 1.0, folder).fingerprint == first.fingerprint
    assert len(calls) == 1 and len(list(folder.iterdir())) == 1
    next(folder.iterdir()).write_bytes(b"torn")
    cached_regions.cache_clear()
    assert cached_regions(22, 0.05, 1.0, folder).fingerprint == first.fingerprint and len(calls) == 2


def test_a_cache_folder_that_cannot_be_written_costs_only_time(tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cached_regions.cache_clear()
    assert cached_regions(21, 0.05, 1.0, tmp_path / "file" / "below").n_max == 21
