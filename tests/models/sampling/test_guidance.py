"""Guidance against a brute-force reference with whole Jacobians, in the notation of its paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError
from robot_stack.models.denoiser import FunctionDenoiser
from robot_stack.models.diffusion import Diffusion, DiffusionConfig
from robot_stack.models.flow_matching import FlowConfig, FlowMatching
from robot_stack.models.mlp_denoiser import MlpDenoiser, MlpDenoiserConfig
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.ddpm import DdpmConfig, ddpm_sampler
from robot_stack.models.sampling.flow import SecondOrderConfig, SecondOrderSampler
from robot_stack.models.sampling.guidance import Guidance
from tests.models.sampling.test_sampler import SAMPLERS

B, T, A = 2, 6, 2
MAX_WEIGHT = 5.0


@pytest.fixture
def network():
    torch.manual_seed(3)
    made = MlpDenoiser(A, 3, T, MlpDenoiserConfig(width=16, depth=2)).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


@pytest.fixture
def inputs(generator):
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights = torch.tensor([[1.0, 1.0, 0.6, 0.3, 0.0, 0.0], [1.0, 0.5, 0.2, 0.0, 0.0, 0.0]], dtype=torch.float64)
    return draw(B, T, A), draw(B, 3), Guidance(draw(B, T, A).clamp(-1, 1), weights, MAX_WEIGHT)


def pull_of(guess, x: Tensor, guidance: Guidance, found: Tensor) -> Tensor:
    """``J^T diag(W) (Y - guess)``, with the Jacobian written out number by number."""
    jacobian = torch.autograd.functional.jacobian(guess, x).reshape(x.numel(), x.numel())
    error = (guidance.weights.unsqueeze(-1) * (guidance.chunk - found)).reshape(-1)
    return (jacobian.T @ error).reshape(x.shape)


@pytest.mark.parametrize("steps", [1, 4])
def test_euler_is_equation_2_of_real_time_chunking(network, inputs, steps):
    noise, cond, guidance = inputs
    flow = FlowMatching(FlowConfig(time_scale=100.0))
    got = flow.sampler(steps)(network, noise, cond, guidance=guidance)

    x = noise
    for index in range(steps):  # the paper's tau: 0 is noise, 1 is data, its velocity points to the data
        tau = index / steps

        def velocity(a: Tensor, tau: float = tau) -> Tensor:
            return -network(a, torch.full((B,), (1 - tau) * 100.0, dtype=torch.float64), cond)

        guess = lambda a, tau=tau, velocity=velocity: a + (1 - tau) * velocity(a)  # noqa: E731
        r2 = (1 - tau) ** 2 / (tau**2 + (1 - tau) ** 2)
        weight = MAX_WEIGHT if tau == 0 else min(MAX_WEIGHT, (1 - tau) / (tau * r2))
        with torch.no_grad():
            v, found = velocity(x), guess(x)
        x = x + (v + weight * pull_of(guess, x, guidance, found)) / steps
    torch.testing.assert_close(got, x, atol=1e-10, rtol=1e-10)
    plain = flow.sampler(steps)(network, noise, cond)
    assert (plain - got).abs().max() > 0.1


@pytest.mark.parametrize("clip", [1.0, None])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_ddim_takes_its_step_from_the_guided_guess(network, inputs, prediction, clip):
    noise, cond, guidance = inputs
    levels = Diffusion(DiffusionConfig(prediction=prediction, clip=clip)).levels
    sampler = ddim_sampler(levels, DdimConfig(steps=5))
    got = sampler(network, noise, cond, guidance=guidance)

    x = noise
    for time in sampler.network_times:
        a, b = math.sqrt(levels.alpha_bar(int(time))), math.sqrt(1 - levels.alpha_bar(int(time)))

        def guess(x: Tensor, time: float = time, a: float = a, b: float = b) -> Tensor:
            out = network(x, torch.full((B,), time, dtype=torch.float64), cond)
            return {"epsilon": (x - b * out) / a, "sample": out, "v_prediction": a * x - b * out}[prediction]

        with torch.no_grad():
            clean = guess(x)
        found = clean if clip is None else clean.clamp(-clip, clip)
        weight = min(MAX_WEIGHT, b / (a * (b * b / (a * a + b * b))))
        clean = clean + b * weight * pull_of(guess, x, guidance, found)
        epsilon = (x - a * clean) / b
        previous = levels.alpha_bar(int(time) - 20)
        kept = clean if clip is None else clean.clamp(-clip, clip)
        x = math.sqrt(previous) * kept + math.sqrt(1 - previous) * epsilon
    torch.testing.assert_close(got, x, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_weight_is_no_guidance(network, inputs, name):
    noise, cond, guidance = inputs
    nothing = guidance._replace(weights=torch.zeros_like(guidance.weights))
    draw = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    plain = SAMPLERS[name](network, noise, cond, generator=draw())
    free = SAMPLERS[name](network, noise, cond, generator=draw(), guidance=nothing)
    torch.testing.assert_close(free, plain.detach(), atol=1e-10, rtol=1e-10)
    assert not free.requires_grad


@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler", "midpoint", "heun"])
def test_samples_of_gaussian_actions_are_pulled_to_what_is_executed(name, inputs):
    """Actions that rise and fall together, of which the exact denoiser is known: the rest follows the frozen steps."""
    noise, cond, _ = inputs
    mix = 0.95 * torch.ones(T, T, dtype=torch.float64) + 0.05 * torch.eye(T, dtype=torch.float64)
    mix = mix * 0.2  # standard deviation below one, so that clipping changes nothing
    diffusion = Diffusion()
    sampler = {
        "ddim": ddim_sampler(diffusion.levels, DdimConfig(steps=20)),
        "ddpm": ddpm_sampler(diffusion.levels, DdpmConfig(steps=100)),
        "euler": FlowMatching(FlowConfig(time_scale=1.0)).sampler(20),
        "midpoint": SecondOrderSampler(SecondOrderConfig(steps=10, method="midpoint"), 1.0),
        "heun": SecondOrderSampler(SecondOrderConfig(steps=10, method="heun"), 1.0),
    }[name]
    flow = name not in ("ddim", "ddpm")

    def exact(x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        t = float(time[0])
        a, b = (1 - t, t) if flow else (diffusion.levels.alpha_bar(int(t)) ** 0.5, 0.0)
        b = b if flow else (1 - a * a) ** 0.5
        clean = torch.einsum("ij,bja->bia", a * mix @ torch.linalg.inv(a * a * mix + b * b * torch.eye(T).double()), x)
        if flow:
            return (x - clean) / t if t > 0 else torch.zeros_like(x)
        return (x - a * clean) / b

    weights = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]] * B, dtype=torch.float64)
    goal = torch.full((B, T, A), 0.7, dtype=torch.float64)
    draw = torch.Generator().manual_seed(2)
    got = sampler(FunctionDenoiser(exact), noise, cond, generator=draw, guidance=Guidance(goal, weights))
    plain = sampler(FunctionDenoiser(exact), noise, cond, generator=torch.Generator().manual_seed(2))
    off, off_plain = (got - 0.7).abs().mean((0, 2)), (plain - 0.7).abs().mean((0, 2))
    assert off[:2].max() < 0.35 * off_plain.min()
    assert off[2:].max() < 0.55 * off_plain.min()  # steps without a weight, drawn along by the others


def test_guidance_that_does_not_fit_is_refused(network, inputs):
    noise, cond, guidance = inputs
    sampler = FlowMatching().sampler(2)
    for wrong in (
        guidance._replace(chunk=noise[:, :3]),
        guidance._replace(weights=guidance.weights[:, :3]),
        guidance._replace(max_weight=0.0),
    ):
        with pytest.raises(ConfigError):
            sampler(network, noise, cond, guidance=wrong)
