"""Schedules against torch's and diffusers' own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.training.schedule import ScheduleConfig, WarmupSchedule


def test_cosine_agrees_with_torch() -> None:
    steps = 50
    schedule = WarmupSchedule(ScheduleConfig(warmup_steps=0), steps)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for step in range(1, steps + 1):
        assert schedule(step) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        reference.step()


@given(steps=st.integers(1, 5000), warmup=st.integers(0, 1000), floor=st.floats(0, 1), cosine=st.booleans())
def test_rises_to_one_and_never_below_the_floor(steps: int, warmup: int, floor: float, cosine: bool) -> None:
    config = ScheduleConfig("cosine" if cosine else "constant", warmup, floor)
    schedule = WarmupSchedule(config, steps)
    factors = [schedule(step) for step in range(1, steps + 1)]
    rise, rest = factors[: schedule.warmup], factors[schedule.warmup :]
    assert all(0.0 < f < 1.0 for f in rise) and rise == sorted(rise)
    assert rest and rest[0] == 1.0
    assert all(floor - 1e-12 <= f <= 1.0 for f in rest) and rest == sorted(rest, reverse=True)
    assert schedule(steps + 10) >= floor - 1e-12


def test_short_runs_warm_up_for_a_tenth_at_most() -> None:
    assert WarmupSchedule(ScheduleConfig(warmup_steps=500), 100).warmup == 10


@pytest.mark.parametrize(
    ("config", "steps"), [(ScheduleConfig(), 0), (ScheduleConfig(warmup_steps=-1), 5), (ScheduleConfig(floor=2.0), 5)]
)
def test_nonsense_is_refused(config: ScheduleConfig, steps: int) -> None:
    with pytest.raises(ConfigError):
        WarmupSchedule(config, steps)
