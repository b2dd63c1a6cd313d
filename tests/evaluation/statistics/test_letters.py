"""The letter display: policies share a letter exactly if they were not told apart."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.evaluation.statistics.letters import compact_letters


@pytest.mark.parametrize(
    ("policies", "separated", "letters"),
    [
        ("ABC", ["AC"], "a,ab,b"),
        ("ABCD", ["AC", "AD", "BD"], "a,ab,bc,c"),
        ("ABCD", ["AD"], "a,ab,ab,b"),
        ("ABCD", ["AB", "CD"], "ab,cd,ac,bd"),
        ("ABC", [], "a,a,a"),
        ("ABCDE", ["AE", "BD"], "ab,ac,abcd,bd,cd"),
        ("AB", ["BA"], "a,b"),
        ("A", [], "a"),
        ("", [], ""),
    ],
)
def test_published_displays(policies: str, separated: list[str], letters: str) -> None:
    got = compact_letters(list(policies), [(p[0], p[1]) for p in separated])
    assert ",".join(got.values()) == letters and list(got) == list(policies)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 9), st.data())
def test_sharing_a_letter_is_not_being_told_apart(count: int, data) -> None:
    names = [f"policy {i}" for i in range(count)]
    pairs = list(itertools.combinations(names, 2))
    separated = data.draw(st.lists(st.sampled_from(pairs), unique=True))
    letters = compact_letters(names, separated)
    assert all(letters.values())
    for pair in pairs:
        assert bool(set(letters[pair[0]]) & set(letters[pair[1]])) == (pair not in separated)
    groups = {letter: {n for n in names if letter in letters[n]} for letter in set("".join(letters.values()))}
    assert not any(a < b for a, b in itertools.permutations(groups.values(), 2)), "a letter that adds nothing"
    assert letters[names[0]].startswith("a")
    shuffled = data.draw(st.permutations(separated))
    assert compact_letters(names, [(b, a) for a, b in shuffled]) == letters


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError):
        compact_letters(["a", "a"], [])
    with pytest.raises(ConfigError):
        compact_letters(["a", "b"], [("a", "a")])
    with pytest.raises(UnknownNameError, match="'policy_b'"):
        compact_letters(["policy_a", "policy_b"], [("policy_a", "policy_bb")])
