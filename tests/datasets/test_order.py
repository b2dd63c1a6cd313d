"""Shuffled order: a permutation, different for every seed and epoch, and well mixed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.datasets.order import shuffled


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
def test_is_a_permutation(size: int, seed: int, epoch: int):
    order = shuffled(np.arange(size), size, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_a_place_does_not_depend_on_what_is_asked_beside_it():
    whole = shuffled(np.arange(1000), 1000, seed=5, epoch=2)
    some = np.array([3, 999, 500])
    np.testing.assert_array_equal(shuffled(some, 1000, seed=5, epoch=2), whole[some])
    mixed = shuffled(some, 1000, seed=5, epoch=np.array([2, 0, 2]))
    assert mixed[0] == whole[3] and mixed[2] == whole[500]


def test_is_fixed_for_all_time():
    """A change of the order would break resuming old runs."""
    assert shuffled(np.arange(6), 10, seed=1, epoch=0).tolist() == GOLDEN


def test_seeds_and_epochs_differ():
    base = shuffled(np.arange(500), 500, seed=0, epoch=0)
    for seed, epoch in ((1, 0), (0, 1), (2**40, 0), (0, 12345)):
        other = shuffled(np.arange(500), 500, seed=seed, epoch=epoch)
        assert (other == base).mean() < 0.03
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.15


def test_items_are_uniform_over_places():
    """Chi-square of item against place over many epochs; 99 degrees of freedom give 99 ± 14."""
    size, epochs = 40, 4000
    counts = np.zeros((10, 10))
    for epoch in range(epochs):
        order = shuffled(np.arange(size), size, seed=3, epoch=epoch)
        np.add.at(counts, (np.arange(size) // 4, order // 4), 1)
    expected = epochs * size / 100
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert 40 < statistic < 140, statistic


def test_neighbours_are_independent():
    order = shuffled(np.arange(20000), 20000, seed=9, epoch=0).astype(float)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(np.arange(20000), order)[0, 1]) < 0.03


GOLDEN = [0, 1, 4, 7, 2, 6]
