from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.config_json import canonical_json, fingerprint_of, from_plain, to_plain
from robot_stack.core.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Small:
    kind: Literal["small"] = "small"
    width: int = 3


@dataclass(frozen=True)
class Large:
    kind: Literal["large"] = "large"
    depth: int = 3


@dataclass(frozen=True)
class Job:
    net: Small | Large = Small()
    rate: float = 1e-3
    names: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    folder: Path = Path("x")
    note: str | None = None
    flag: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)


jobs = st.builds(
    Job,
    net=st.one_of(st.builds(Small, width=st.integers()), st.builds(Large, depth=st.integers())),
    rate=st.floats(allow_nan=False),
    names=st.lists(st.text()).map(tuple),
    pair=st.tuples(st.integers(), st.floats(allow_nan=False)),
    note=st.none() | st.text(),
    flag=st.booleans(),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
    counts=st.lists(st.integers()),
)


@given(jobs)
def test_round_trip(job: Job) -> None:
    assert from_plain(Job, json.loads(canonical_json(job))) == job


@given(jobs, jobs)
def test_fingerprints_tell_values_apart(a: Job, b: Job) -> None:
    assert (fingerprint_of(a) == fingerprint_of(b)) == (canonical_json(a) == canonical_json(b))


@pytest.mark.parametrize(
    "change",
    [
        {"rate": True},
        {"rate": "1e-3"},
        {"pair": [1]},
        {"names": "abc"},
        {"flag": 1},
        {"net": {"kind": "medium"}},
        {"net": 3},
        {"weights": []},
        {"counts": [1.5]},
        {"note": 4},
    ],
)
def test_wrong_types_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        from_plain(Job, {**to_plain(Job()), **change})


def test_only_plain_data_is_written() -> None:
    with pytest.raises(ConfigError, match="plain data only"):
        to_plain({"f": lambda: 0})


def test_the_kind_of_an_alternative_decides_whose_error_is_shown() -> None:
    plain = to_plain(Job())
    with pytest.raises(UnknownNameError, match="did you mean 'depth'"):
        from_plain(Job, {**plain, "net": {"kind": "large", "dept": 3}})
    with pytest.raises(ConfigError, match=r"one of \['small', 'large'\]"):
        from_plain(Job, {**plain, "net": {"kind": "medium", "width": 3}})
