"""Training side of flow matching."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from robot_stack.core.errors import ConfigError
from robot_stack.models.flow_matching import FlowConfig, FlowMatching


def test_corruption_is_the_straight_line_and_the_target_its_derivative(generator):
    process = FlowMatching()
    clean = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    at = lambda t: process.corrupt(clean, noise, torch.full((3,), t, dtype=torch.float64))  # noqa: E731
    torch.testing.assert_close(at(0.0).noisy, clean)
    torch.testing.assert_close(at(1.0).noisy, noise)
    step = 1e-6
    slope = (at(0.3 + step).noisy - at(0.3 - step).noisy) / (2 * step)
    torch.testing.assert_close(at(0.3).target, slope, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(at(0.3).network_time, torch.full((3,), 300.0, dtype=torch.float64))


@pytest.mark.parametrize(("power", "floor"), [(1.0, 0.0), (1.5, 0.001), (3.0, 0.2)])
def test_times_follow_the_beta_distribution(power, floor, generator):
    process = FlowMatching(FlowConfig(time_power=power, time_floor=floor))
    times = process.sample_times(20_000, generator=generator).double()
    assert times.min() >= floor and times.max() <= 1.0
    result = stats.kstest(((times - floor) / (1 - floor)).numpy(), stats.beta(power, 1.0).cdf)
    assert result.pvalue > 1e-3


def test_wrong_configurations_are_refused():
    for config in (FlowConfig(time_power=0.0), FlowConfig(time_floor=1.0), FlowConfig(time_scale=-1.0)):
        with pytest.raises(ConfigError, match="out of range"):
            FlowMatching(config)
