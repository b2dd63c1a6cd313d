from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from robot_stack.core.config_json import canonical_json, from_plain, to_plain
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.errors import KeyMismatchError, PlanError
from robot_stack.evaluation.trials.plan import InitialCondition, PlannedPolicy, Stopping, TrialPlan
from robot_stack.evaluation.trials.plan_file import complete_plan, read_plan
from robot_stack.evaluation.trials.randomisation import draw_conditions, draw_orders
from robot_stack.evaluation.trials.sealed_key import DOMAIN, draw_key
from tests.evaluation.trials.studies import SECRET, make_plan


def test_a_plan_survives_json_and_its_hash_is_of_every_field() -> None:
    plan = make_plan()
    assert from_plain(TrialPlan, json.loads(plan.canonical())) == plan
    changed = [
        replace(plan, time_limit_s=61.0),
        replace(plan, stopping=replace(plan.stopping, alpha=0.04)),
        replace(plan, policies=(replace(plan.policies[0], sha256="9" * 64), plan.policies[1])),
        replace(plan, conditions=(replace(plan.conditions[0], seed=7), *plan.conditions[1:])),
    ]
    assert len({p.fingerprint() for p in (plan, *changed)}) == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"policies": make_plan().policies[:1]}, "at least 2"),
        ({"policies": make_plan().policies[:1] * 2}, "twice"),
        ({"conditions": ()}, "at least 1"),
        ({"conditions": (InitialCondition("../up"),)}, "unusable id"),
        ({"exclusion_reasons": ()}, "at least 1"),
        ({"lease_s": 0.0}, "above 0"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change: dict, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        make_plan(**change)


@pytest.mark.parametrize("value", [{"alpha": 0.0}, {"alpha": 0.6}, {"n_max": 0}])
def test_a_stopping_rule_that_makes_no_sense_is_refused(value: dict) -> None:
    with pytest.raises(PlanError):
        Stopping(**value)


def test_every_block_has_every_policy_and_orders_are_uniform() -> None:
    plan = make_plan(arms=3, n_max=6000)
    orders = draw_orders(plan, generator(1))
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    counts = Counter(orders)
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts.values()) < 4 * (6000 * 1 / 6 * 5 / 6) ** 0.5
    following = Counter(itertools.pairwise(orders))
    assert len(following) == 36, "an order says nothing of the next"


def test_conditions_come_round_and_strata_are_spread() -> None:
    light = tuple(InitialCondition(f"b{i}", strata={"light": "bright"}) for i in range(8))
    dark = tuple(InitialCondition(f"d{i}", strata={"light": "dim"}) for i in range(4))
    plan = make_plan(n_max=24, conditions=light + dark)
    order = draw_conditions(plan, generator(3))
    assert len(order) == 24
    for start in (0, 12):
        assert sorted(order[start : start + 12]) == sorted(c.id for c in plan.conditions)
    for i in range(3, 25, 3):
        assert abs(sum(name.startswith("d") for name in order[:i]) - i / 3) < 1.0
    assert order != draw_conditions(plan, generator(4))


def test_the_commitment_is_what_the_documentation_says() -> None:
    key = draw_key(make_plan(), SECRET)
    text = DOMAIN + bytes.fromhex(key.nonce) + canonical_json(key).encode()
    assert key.commitment() == hashlib.sha256(text).hexdigest()
    assert len(bytes.fromhex(key.nonce)) == 32
    key.require(key.commitment(), make_plan().fingerprint())


def test_a_changed_key_is_found() -> None:
    plan = make_plan()
    key = draw_key(plan, SECRET)
    commitment = key.commitment()
    swapped = replace(key, orders=(key.orders[0][::-1], *key.orders[1:]))
    with pytest.raises(KeyMismatchError, match="commitment"):
        swapped.require(commitment, plan.fingerprint())
    with pytest.raises(KeyMismatchError, match="another plan"):
        key.require(commitment, "0" * 64)


def test_keys_come_from_the_operating_system_unless_a_secret_is_given() -> None:
    plan = make_plan(n_max=50)
    assert draw_key(plan).nonce != draw_key(plan).nonce
    assert draw_key(plan).orders != draw_key(plan).orders
    assert draw_key(plan, SECRET) == draw_key(plan, SECRET)


def fake_hash(policy: str, task: str) -> str:
    return hashlib.sha256(f"{policy} {task}".encode()).hexdigest()


def test_a_plan_file_with_short_forms(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "mug.jpg").write_bytes(b"a picture")
    (tmp_path / "plan.yaml").write_text(
        "name: mugs\ntask: mug\npolicies:\n  a: runs/a\n  b: {policy: runs/b, source: left}\n"
        "conditions:\n  - {id: one, image: mug.jpg, strata: {light: dim}}\n  - {id: two, description: upside down}\n"
        "stopping: {rule: pairs, n_max: 4}\n"
    )
    plan, images = read_plan(tmp_path / "plan.yaml", fake_hash)
    assert [p.sha256 for p in plan.policies] == [fake_hash("runs/a", "mug"), fake_hash("runs/b", "mug")]
    assert plan.policies[1] == PlannedPolicy("b", "runs/b", fake_hash("runs/b", "mug"), "left")
    (name,) = images
    assert plan.conditions[0].image == name and images[name] == b"a picture"
    assert plan.conditions[0].image_sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert plan.stopping == Stopping("pairs", 0.05, 4)
    assert "simulator crash" not in plan.exclusion_reasons


def test_seeds_as_conditions() -> None:
    plain = {"name": "s", "task": "t", "policies": {"a": "x", "b": "y"}, "conditions": {"seeds": 3, "stream": 2}}
    plan, _ = complete_plan(plain, fake_hash)
    assert [c.seed for c in plan.conditions] == [302_000_000, 302_000_001, 302_000_002]
    assert "simulator crash" in plan.exclusion_reasons


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("policies: [a, b]", PlanError, "mapping of names"),
        ("policies: {a: 3, b: x}\nconditions: {seeds: 2}", PlanError, "folder of a bundle"),
        ("policies: {a: x, b: y}\nconditions: 4", PlanError, "must be a list"),
        ("policies: {a: x, b: y}\nconditions: [{id: c, image: no.jpg}]", PlanError, "cannot be read"),
        ("policies: {a: x, b: y}\nconditions: {seeds: 2}\nname: n\ntask: t\nstoping: {}", UnknownNameError, "stopping"),
        ("policies: {a: {policy: x, sha256: ff}, b: y}\nconditions: {seeds: 2}", PlanError, "not the one"),
        ("a: [", PlanError, "cannot be read"),
        ("- a", PlanError, "holds a mapping"),
        ("policies: {a: x, b: y}\nconditions: {seeds: 2}", ConfigError, "task"),
    ],
)
def test_a_plan_file_that_makes_no_sense(tmp_path: Path, text: str, kind: type[Exception], told: str) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(kind, match=told):
        read_plan(tmp_path / "plan.yaml", fake_hash)


def test_plain_data_only() -> None:
    assert json.loads(json.dumps(to_plain(make_plan())))["format"] == "robot_stack.trials.plan/1"
