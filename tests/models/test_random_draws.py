"""Random numbers depend on their generators alone."""

from __future__ import annotations

import pytest
import torch

from robot_stack.core.errors import ShapeError
from robot_stack.models.random_draws import draw_integers, draw_normal_like, draw_uniform


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_draws_are_those_of_the_generator():
    assert torch.equal(draw_uniform((5,), seeded(1)), torch.rand(5, generator=seeded(1)))
    assert torch.equal(draw_integers(9, (5,), seeded(1)), torch.randint(9, (5,), generator=seeded(1)))
    like = torch.empty(3, 4, dtype=torch.float64)
    expected = torch.randn(3, 4, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(draw_normal_like(like, seeded(1)), expected)


def test_a_row_with_its_own_generator_does_not_depend_on_the_others():
    first = draw_normal_like(torch.empty(3, 4), [seeded(1), seeded(2), seeded(3)])
    second = draw_normal_like(torch.empty(2, 4), [seeded(2), seeded(9)])
    assert torch.equal(first[1], second[0])
    with pytest.raises(ShapeError, match="generator of its own"):
        draw_normal_like(torch.empty(3, 4), [seeded(1)])


def test_the_global_state_stays_untouched():
    before = torch.random.get_rng_state()
    draw_uniform((5,), seeded(1))
    draw_normal_like(torch.empty(2, 3), [seeded(1), seeded(2)])
    assert torch.equal(torch.random.get_rng_state(), before)
