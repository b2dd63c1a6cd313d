"""The compact letter display: policies that share a letter were not told apart.

H.-P. Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", Journal of Computational and
Graphical Statistics 13, 2004: insert and absorb.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from robot_stack.core.errors import ConfigError, require_name

_ALPHABET = string.ascii_lowercase + string.ascii_uppercase


def compact_letters(policies: Sequence[str], separated: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters for every policy.

    Args:
        policies: in the order of display, as a rule best first; ``a`` then goes to the best group.
        separated: pairs that were told apart; the order within a pair does not matter.

    Returns:
        For each policy its letters: two policies share one exactly if they were not told apart. After the 52nd letter
        come ``a1``, ``b1``, ….

    Raises:
        ConfigError: if a policy comes twice, or is to be told apart from itself.
        UnknownNameError: if a pair names another policy.
    """
    place = {policy: i for i, policy in enumerate(policies)}
    if len(place) < len(policies):
        raise ConfigError("a policy comes twice in a letter display", got=list(policies))
    groups = {frozenset(place.values())} if place else set()
    for a, b in separated:
        i, j = (place[require_name("policy", name, policies)] for name in (a, b))
        if i == j:
            raise ConfigError("a policy cannot be told apart from itself", got=a)
        groups = _absorb(_insert(groups, i, j))
    ordered = sorted(groups, key=lambda g: (min(g), -len(g), sorted(g)))
    return {policy: "".join(_letter(n) for n, g in enumerate(ordered) if i in g) for policy, i in place.items()}


def _insert(groups: set[frozenset[int]], i: int, j: int) -> set[frozenset[int]]:
    """Split every group that holds both: one without the one, one without the other."""
    split: set[frozenset[int]] = set()
    for group in groups:
        split |= {group - {i}, group - {j}} if {i, j} <= group else {group}
    return split


def _absorb(groups: set[frozenset[int]]) -> set[frozenset[int]]:
    """Drop groups that lie within another."""
    return {g for g in groups if g and not any(g < other for other in groups)}


def _letter(number: int) -> str:
    again, place = divmod(number, len(_ALPHABET))
    return _ALPHABET[place] + (str(again) if again else "")
