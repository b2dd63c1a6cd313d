"""Flow samplers on a problem with a known solution."""

from __future__ import annotations

import pytest
import torch

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.models.denoiser import FunctionDenoiser
from robot_stack.models.flow_matching import FlowMatching
from robot_stack.models.sampling.flow import EulerConfig, SecondOrderConfig, SecondOrderSampler, euler_sampler

MEAN, DEVIATION = 0.4, 0.3


def gaussian_velocity(x, time, cond):
    """Exact velocity field of flow matching when the data are normal(MEAN, DEVIATION).

    E[noise - data | x_t = x] for jointly normal variables.
    """
    t = (time / 1000.0).to(x.dtype).view(-1, 1, 1)
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    centred = x - (1 - t) * MEAN
    return (t - (1 - t) * DEVIATION**2) / variance * centred - MEAN


@pytest.fixture
def noise(generator):
    return torch.randn(64, 4, 2, generator=generator, dtype=torch.float64)


def error(sampler, noise):
    """The exact flow carries noise z to MEAN + DEVIATION * z."""
    result = sampler(FunctionDenoiser(gaussian_velocity), noise, noise.new_zeros(64, 1))
    return (result - (MEAN + DEVIATION * noise)).abs().max().item()


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_error_shrinks_with_the_order_of_the_method(method, order, noise):
    def sampler(steps):
        if method == "euler":
            return euler_sampler(EulerConfig(steps=steps), time_scale=1000.0)
        return SecondOrderSampler(SecondOrderConfig(steps=steps, method=method), time_scale=1000.0)

    coarse, fine = error(sampler(40), noise), error(sampler(80), noise)
    assert 0.9 * 2**order < coarse / fine < 1.1 * 2 ** (order + 1)  # midpoint gains an order on linear velocities
    assert error(sampler(320), noise) < 0.02


def test_euler_is_the_loop_written_out(noise):
    x = noise
    for step in range(5):
        x = x - 0.2 * gaussian_velocity(x, torch.tensor([1000.0 * (1 - 0.2 * step)]), None)
    actual = FlowMatching().sampler(5)(FunctionDenoiser(gaussian_velocity), noise, noise.new_zeros(64, 1))
    torch.testing.assert_close(actual, x, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "evaluations"), [("midpoint", [1000.0, 750, 500, 250]), ("heun", [1000.0, 500, 500, 0])]
)
def test_second_order_methods_evaluate_where_they_say(method, evaluations):
    sampler = SecondOrderSampler(SecondOrderConfig(steps=2, method=method), time_scale=1000.0)
    asked = []

    def record(x, time, cond):
        asked.append(time[0].item())
        return torch.zeros_like(x)

    sampler(FunctionDenoiser(record), torch.zeros(1, 2, 1), torch.zeros(1, 1))
    assert asked == pytest.approx(evaluations) and list(sampler.network_times) == pytest.approx(evaluations)


def test_one_euler_step_of_a_point_mass_lands_on_it(generator):
    point = torch.randn(1, 4, 2, generator=generator)
    network = FunctionDenoiser(lambda x, time, cond: (x - point) / (time / 1000.0).view(-1, 1, 1))
    start = torch.randn(1, 4, 2, generator=generator)
    torch.testing.assert_close(FlowMatching().sampler(1)(network, start, torch.zeros(1, 1)), point)


def test_wrong_requests_are_refused():
    with pytest.raises(ConfigError, match="at least one step"):
        FlowMatching().sampler(0)
    with pytest.raises(ConfigError, match="at least one step"):
        SecondOrderSampler(SecondOrderConfig(steps=0), 1000.0)
    with pytest.raises(UnknownNameError, match="midpoint"):
        SecondOrderSampler(SecondOrderConfig(method="midpont"), 1000.0)  # type: ignore[arg-type]
