from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.config_json import from_plain
from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.analyse import analyse
from robot_stack.evaluation.trials.analysis import TrialAnalysis
from robot_stack.evaluation.trials.effects import block_effect, cohens_kappa, place_effect
from robot_stack.evaluation.trials.errors import BlindedError
from robot_stack.evaluation.trials.report import headline, report_page, warnings, write_trial_report
from robot_stack.evaluation.trials.store import EVENTS, TrialStore
from robot_stack.evaluation.trials.unblind import unblind
from tests.evaluation.trials.studies import make_desk, make_plan, make_store, run_study, run_trial


def finished(folder: Path, rates: tuple[float, ...], n_max: int = 24, **changes: object) -> Path:
    root = make_store(folder, replace(make_plan(arms=len(rates), n_max=n_max), **changes))  # type: ignore[arg-type]
    with TrialStore(root) as store:
        run_study(store, rates)
        unblind(store, "Ada")
    return root


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TrialAnalysis:
    return analyse(finished(tmp_path_factory.mktemp("report") / "s", (0.0, 0.05, 1.0), n_max=30))


class Parts(HTMLParser):
    """Tags that are opened and closed, and what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.figures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "figure"
        if tag not in ("meta", "br", "link", "img", "path", "use", "rect", "input"):
            self.open.append(tag)
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href") and not (v or "").startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass


def test_numbers_are_those_of_the_trials(study: TrialAnalysis) -> None:
    assert [arm.name for arm in study.arms] == ["gamma-policy", "beta-policy", "alpha-policy"], "best first"
    best, _, worst = study.arms
    assert best.success.successes == study.blocks == best.success.trials
    assert worst.success.successes == 0 and worst.posterior == (1.0, 1.0 + study.blocks)
    assert best.letters == "a" and set(study.arms[1].letters) & set(worst.letters) == {"b"}
    assert best.completion.mean == pytest.approx(1.0) and worst.completion.mean == pytest.approx(1 / 3)
    assert worst.failure_tags == {"missed": study.blocks}
    assert [n for n, _ in best.milestones] == ["halfway", "at_goal", "success"]
    assert best.curve[-1][0] == study.blocks and best.curve[-1][1] == 1.0
    assert sum(n for _, n in best.conditions.values()) == study.blocks
    for arm in study.arms:
        assert arm.flow.labelled == arm.flow.analysed == study.blocks
        assert arm.anytime.low <= arm.success.low + 1e-9 and arm.anytime.high >= arm.success.high - 1e-9


def test_decisions_are_those_of_the_rule(study: TrialAnalysis) -> None:
    by_pair = {(c.first, c.second): c for c in study.comparisons}
    assert by_pair["alpha-policy", "gamma-policy"].decision == "second_better"
    assert by_pair["beta-policy", "gamma-policy"].decision == "second_better"
    assert by_pair["alpha-policy", "beta-policy"].decision == "undecided"
    clear = by_pair["alpha-policy", "gamma-policy"]
    assert clear.difference == 1.0 and clear.interval[0] > 0.5 and clear.probability_second_better > 0.999
    assert study.decided_at == 30 and study.detectable is not None
    assert "gamma-policy is better than alpha-policy" in headline(study)
    assert "no other difference" in headline(study)


def test_the_analysis_survives_json(study: TrialAnalysis, tmp_path: Path) -> None:
    page, data = write_trial_report(study, tmp_path / "out")
    plain = json.loads(data.read_text())
    again = from_plain(TrialAnalysis, plain)
    assert again.arms == study.arms and again.comparisons == study.comparisons and again.plan == study.plan
    assert page.read_text() == report_page(study)


def test_the_page_is_whole_and_fetches_nothing(study: TrialAnalysis) -> None:
    page = report_page(study)
    parts = Parts()
    parts.feed(page)
    assert parts.open == [] and parts.fetched == [] and parts.figures == 5
    assert "$" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.S)
    for told in ("Audit", study.commitment, study.nonce, "Deviations", "told from", "place in the block"):
        assert told in page


def test_names_are_escaped(tmp_path: Path) -> None:
    plan = make_plan(n_max=3)
    evil = tuple(replace(p, name=f"<script>{p.name}</script>") for p in plan.policies)
    page = report_page(analyse(finished(tmp_path / "s", (0.4, 0.4), n_max=3, policies=evil)))
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_a_blind_study_is_not_reported(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s")
    with TrialStore(root) as store:
        run_study(store, (0.5, 0.5))
    with pytest.raises(BlindedError, match="still blind"):
        analyse(root)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)])
def test_no_variance_and_no_difference(tmp_path: Path, rates: tuple[float, float]) -> None:
    found = analyse(finished(tmp_path / "s", rates, n_max=8))
    assert headline(found) == "No difference between the policies was shown."
    assert {arm.letters for arm in found.arms} == {"a"}
    assert report_page(found)


def test_a_study_opened_at_once_has_no_blocks(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s")
    with TrialStore(root) as store:
        desk = make_desk(store)
        desk.join("bench", "Ada", "j")
        trial = desk.take_next("bench", "n")
        assert trial is not None
        run_trial(desk, trial, True)
        unblind(store, "Ada", "the funding ended")
    found = analyse(root)
    assert (found.blocks, found.decided_at, found.unblinded_early) == (0, None, True)
    page = report_page(found)
    assert "the funding ended" in page and "before the stopping rule" in page and "nothing can be said" in page


def test_exclusions_are_told_by_policy(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s", make_plan(n_max=10))
    with TrialStore(root) as store:
        desk, key = make_desk(store, stop=False), store.key()
        desk.join("bench", "Ada", "j")
        number = 0
        while (trial := desk.take_next("bench", f"n{number}")) is not None:
            number += 1
            if key.arm(trial.block, trial.place) == 0 and trial.attempt == 0:
                desk.exclude("bench", trial.id, "operator error", "", f"x{trial.id}")
            else:
                run_trial(desk, trial, True)
        unblind(store, "Ada", "to look")
    found = analyse(root)
    flows = {arm.name: arm.flow for arm in found.arms}
    assert flows["alpha-policy"].excluded == {"operator error": 10} and flows["beta-policy"].excluded == {}
    assert found.exclusions_p is not None and found.exclusions_p < 0.05
    assert any("unevenly spread" in text for text in warnings(found))


def test_a_second_judge_in_the_report(tmp_path: Path) -> None:
    root = make_store(tmp_path / "s", make_plan(n_max=8))
    with TrialStore(root) as store:
        run_study(store, (0.5, 0.5))
        for number, trial in enumerate(store.state.trials.values()):
            assert trial.judgement is not None
            verdict = trial.judgement.success ^ (number in (3, 7))
            rated = {"success": verdict, "milestones": [True, verdict], "failure_tags": [], "notes": ""}
            store.append("rated", {"trial": trial.id, "rater": "Bob", **rated})
        unblind(store, "Ada")
    found = analyse(root)
    assert found.second_judge is not None
    assert (found.second_judge.trials, found.second_judge.agreed.successes) == (16, 14)
    assert found.second_judge.kappa == pytest.approx(0.75)


def test_a_tampered_store_is_not_reported(tmp_path: Path) -> None:
    root = finished(tmp_path / "s", (0.2, 0.9), n_max=6)
    films = analyse(root)
    assert warnings(films) == [] or "audit" not in " ".join(warnings(films))
    data = (root / EVENTS).read_bytes()
    (root / EVENTS).write_bytes(data.replace(b'"success":true', b'"success":false', 1))
    found = analyse(root)  # the second copy still tells the truth, and the report says that the log does not
    assert any("not to be trusted" in text for text in warnings(found))


# --- nuisances


def test_an_order_effect_is_found_and_policies_alone_make_none() -> None:
    rng = generator(3)
    blocks, arms = 60, np.array([rng.permutation(2) for _ in range(60)])
    rates = np.array([0.1, 0.9])[arms]
    quiet = (rng.random((blocks, 2)) < rates).astype(int)
    found = place_effect(quiet, arms)
    assert found.p_value is not None and found.p_value > 0.05
    loud = (rng.random((blocks, 2)) < np.clip(rates - [[0.0, 0.5]], 0, 1)).astype(int)
    found = place_effect(loud, arms)
    assert found.p_value is not None and found.p_value < 0.01
    assert found.rates[0].rate > found.rates[1].rate


def test_p_values_of_nuisances_are_uniform_without_one() -> None:
    rng = generator(4)
    below = 0
    for study in range(40):
        outcomes = (rng.random((30, 2)) < 0.5).astype(int)
        found = block_effect("station", outcomes, [("left", "right")[i % 2] for i in range(30)], seed=study)
        assert found.p_value is not None
        below += found.p_value <= 0.25
    assert 3 <= below <= 18, "binomial(40, 1/4), more than 2.5 standard deviations to each side"


def test_one_level_has_no_p_value() -> None:
    found = block_effect("station", np.ones((4, 2), dtype=int), ["left"] * 4)
    assert found.p_value is None and found.rates[0].successes == 8


def test_kappa_of_a_worked_example() -> None:
    # 50 grant proposals, Wikipedia's example of Cohen's kappa: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no
    first = [True] * 25 + [False] * 25
    second = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert cohens_kappa([], []) is None and cohens_kappa([True] * 3, [True] * 3) is None
