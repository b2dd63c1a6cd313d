"""States are counted by the stamps of a clock that somebody may set."""

from __future__ import annotations

from itertools import pairwise

import pytest

from robot_stack.hardware.arms.stamp_count import StampCount

HOUR = 3_600_000_000_000
MS = 1_000_000


@pytest.mark.parametrize("step", [0, HOUR, -HOUR, -700 * MS])
def test_numbers_grow_whatever_is_done_to_the_clock(step: int) -> None:
    count, numbers, now = StampCount(), [], 10 * HOUR
    for k in range(20):
        now += 10 * MS + (step if k == 10 else 0)
        numbers.append(count.of(now))
    assert all(b > a for a, b in pairwise(numbers))


def test_repeated_and_late_states_are_known_as_such() -> None:
    count = StampCount()
    first, second = count.of(HOUR), count.of(HOUR + 10 * MS)
    assert count.of(HOUR + 10 * MS) == second
    assert first < count.of(HOUR + 5 * MS) < second


def test_a_driver_that_does_not_stamp_has_new_states_always() -> None:
    count = StampCount()
    assert [count.of(0) for _ in range(3)] == [1, 2, 3]
