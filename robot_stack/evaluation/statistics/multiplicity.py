"""Several comparisons at once: p-values adjusted so that the chance of any false alarm stays below the level.

:func:`bonferroni` multiplies, :func:`holm` steps down and is never worse, :func:`closed_pairwise` also uses that
equality is transitive (A = B and B = C make A = C) and is never worse than Holm for all pairs of a few policies.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from robot_stack.core.errors import ConfigError

CLOSED_MOST = 9
"""Policies up to which :func:`closed_pairwise` goes through all groupings (21,147 of nine)."""


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Each p-value times their number, at most 1.

    Raises:
        ConfigError: if one is not in [0, 1].
    """
    _check(p_values)
    return [min(1.0, len(p_values) * p) for p in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm among them stays below the level.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Raises:
        ConfigError: if one is not in [0, 1].
    """
    _check(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = running
    return adjusted


def closed_pairwise(policies: int, p_values: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Closed testing of all pairs of policies.

    Which pairs are equal follows from a grouping of the policies. A pair is told apart if every grouping in which it is
    equal is rejected by Bonferroni's test over its equal pairs: R. Marcus, E. Peritz and K. R. Gabriel, Biometrika 63,
    1976; B. Bergmann and G. Hommel, "Improvements of general multiple test procedures", in Multiple Hypothesenprüfung,
    1988. The p-values may depend on each other in any way.

    Args:
        policies: how many, 2 to 9.
        p_values: of "equal", for every pair (i, j) with i < j.

    Returns:
        Adjusted p-values, never larger than Holm's.

    Raises:
        ConfigError: if a pair is missing, a p-value is not in [0, 1], or there are too many policies.
    """
    pairs = list(itertools.combinations(range(policies), 2))
    if not 2 <= policies <= CLOSED_MOST:
        remedy = "use holm()" if policies > CLOSED_MOST else None
        raise ConfigError("closed testing of this many policies", got=policies, expected="2 to 9", remedy=remedy)
    if set(p_values) != set(pairs):
        raise ConfigError("p-values for other pairs than all", got=sorted(p_values), expected=pairs)
    _check(list(p_values.values()))
    adjusted = dict.fromkeys(pairs, 0.0)
    for grouping in _groupings(policies):
        equal = [(i, j) for i, j in pairs if grouping[i] == grouping[j]]
        if equal:
            joint = min(1.0, len(equal) * min(p_values[pair] for pair in equal))
            for pair in equal:
                adjusted[pair] = max(adjusted[pair], joint)
    return adjusted


def _groupings(policies: int) -> Iterator[tuple[int, ...]]:
    """Every partition of the policies, as the number of each one's group."""
    stack: list[tuple[int, ...]] = [(0,)]
    while stack:
        grouping = stack.pop()
        if len(grouping) == policies:
            yield grouping
        else:
            stack += [(*grouping, group) for group in range(max(grouping) + 2)]


def _check(p_values: Sequence[float]) -> None:
    for p in p_values:
        if not 0 <= p <= 1:
            raise ConfigError("a p-value is out of range", got=p, expected="0 to 1")
