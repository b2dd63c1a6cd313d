"""What all samplers share: conditioning computed ahead, prepared samplers, warm starts, generators."""

from __future__ import annotations

import pytest
import torch

from robot_stack.core.errors import ConfigError
from robot_stack.models.denoiser import Denoiser, FunctionDenoiser
from robot_stack.models.diffusion import Diffusion, DiffusionConfig
from robot_stack.models.flow_matching import FlowMatching
from robot_stack.models.mlp_denoiser import MlpDenoiser, MlpDenoiserConfig
from robot_stack.models.sampling import sampler as sampler_module
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.models.sampling.ddpm import DdpmConfig, ddpm_sampler
from robot_stack.models.sampling.flow import SecondOrderConfig, SecondOrderSampler
from robot_stack.models.sampling.sampler import WarmStart, prepare
from robot_stack.models.transformer1d import DiffusionTransformer, Transformer1dConfig
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig

LEVELS = Diffusion().levels
SAMPLERS = {
    "ddim": ddim_sampler(LEVELS, DdimConfig(steps=5)),
    "ddim, no clipping": ddim_sampler(Diffusion(DiffusionConfig(clip=None)).levels, DdimConfig(steps=5, eta=0.5)),
    "ddpm": ddpm_sampler(LEVELS, DdpmConfig(steps=5)),
    "euler": FlowMatching().sampler(5),
    "midpoint": SecondOrderSampler(SecondOrderConfig(steps=5, method="midpoint"), 1000.0),
    "heun": SecondOrderSampler(SecondOrderConfig(steps=5, method="heun"), 1000.0),
}
NETWORKS = {
    "unet": lambda: ConditionalUnet1d(2, 3, Unet1dConfig(down_dims=(8, 16), time_embed_dim=8)),
    "transformer": lambda: DiffusionTransformer(2, 3, 8, Transformer1dConfig(width=16, depth=2, heads=2)),
    "mlp": lambda: MlpDenoiser(2, 3, 8, MlpDenoiserConfig(width=16, depth=2)),
}


def make_network(name):
    torch.manual_seed(5)
    network = NETWORKS[name]().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.fixture
def inputs(generator):
    noise = torch.randn(2, 8, 2, generator=generator, dtype=torch.float64)
    return noise, torch.randn(2, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("network_name", NETWORKS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_conditioning_ahead_equals_calling_the_network(name, network_name, inputs):
    network = make_network(network_name)
    assert isinstance(network, Denoiser)
    with torch.no_grad():
        ahead = SAMPLERS[name](network, *inputs, generator=torch.Generator().manual_seed(1))
        plain = SAMPLERS[name](FunctionDenoiser(network), *inputs, generator=torch.Generator().manual_seed(1))
        prepared = prepare(SAMPLERS[name], network, dtype=torch.float64)(
            *inputs, generator=torch.Generator().manual_seed(1)
        )
    torch.testing.assert_close(ahead, plain, atol=1e-10, rtol=1e-10)
    assert torch.equal(ahead, prepared)


@pytest.mark.parametrize("name", SAMPLERS)
def test_large_batches_take_the_step_by_step_path_with_equal_results(name, inputs, monkeypatch):
    network = make_network("transformer")
    with torch.no_grad():
        joined = SAMPLERS[name](network, *inputs, generator=torch.Generator().manual_seed(1))
        monkeypatch.setattr(sampler_module, "MODULATION_ROWS", 1)
        stepwise = SAMPLERS[name](network, *inputs, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(stepwise, joined, atol=1e-12, rtol=1e-12)


def test_prepared_samplers_do_not_encode_times_again(inputs, monkeypatch):
    network = make_network("unet")
    prepared = prepare(SAMPLERS["ddim"], network, dtype=torch.float64)
    monkeypatch.setattr(network, "encode_times", None)
    with torch.no_grad():
        assert prepared(*inputs).shape == (2, 8, 2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_warm_start_at_the_first_step_starts_from_the_mixture_of_that_level(name, inputs):
    network = make_network("mlp")
    noise, cond = inputs
    chunk = torch.full_like(noise, 0.5)
    alpha = LEVELS.alpha_bars[80] if name[:3] == "ddi" or name == "ddpm" else 0.0
    mixture = alpha**0.5 * chunk + (1 - alpha) ** 0.5 * noise
    with torch.no_grad():
        expected = SAMPLERS[name](network, mixture, cond, generator=torch.Generator().manual_seed(1))
        actual = SAMPLERS[name](
            network, noise, cond, generator=torch.Generator().manual_seed(1), warm_start=WarmStart(chunk, 0)
        )
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", ["ddim", "euler", "midpoint", "heun"])
def test_warm_start_runs_the_last_steps_on_the_noised_chunk(name, inputs):
    """With the exact network of a one-point data set any start ends at the point; the times asked are the last ones."""
    noise, cond = inputs
    point = torch.linspace(-0.9, 0.9, 16, dtype=torch.float64).view(1, 8, 2)
    alphas = torch.tensor(LEVELS.alpha_bars, dtype=torch.float64)
    asked, first_inputs = [], []

    def exact(x, time, c):
        asked.append(time[0].item())
        first_inputs.append(x)
        if name == "ddim":
            alpha = alphas[time.long()].view(-1, 1, 1)
            return (x - alpha.sqrt() * point) / (1 - alpha).sqrt()
        return (x - point) / (time / 1000.0).view(-1, 1, 1).clamp_min(1e-9)

    sampler = SAMPLERS[name]
    chunk = torch.zeros_like(noise)
    result = sampler(FunctionDenoiser(exact), noise, cond, warm_start=WarmStart(chunk, 3))
    evaluations = 2 if name in ("midpoint", "heun") else 1
    assert asked == pytest.approx(list(sampler.network_times[3 * evaluations :]))
    level = (1 - alphas[int(asked[0])]).sqrt() if name == "ddim" else torch.tensor(asked[0] / 1000.0)
    torch.testing.assert_close(first_inputs[0], level.to(noise.dtype) * noise)
    if name != "heun":  # it also asks at time 0, where the velocity towards a point is not defined
        torch.testing.assert_close(result, point.expand_as(result), atol=1e-6, rtol=1e-6)


def test_impossible_warm_starts_are_refused(inputs):
    network, (noise, cond) = make_network("mlp"), inputs
    for sampler in (SAMPLERS["ddim"], SAMPLERS["heun"]):
        with pytest.raises(ConfigError, match="0 to 4"):
            sampler(network, noise, cond, warm_start=WarmStart(noise, 5))
        with pytest.raises(ConfigError, match="another shape"):
            sampler(network, noise, cond, warm_start=WarmStart(noise[:, :4], 1))


def test_equal_generators_give_equal_chunks_and_others_do_not(inputs):
    network = make_network("mlp")
    with torch.no_grad():
        first, second, third = (
            SAMPLERS["ddpm"](network, *inputs, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_gradients_flow_through_sampling(inputs):
    noise, cond = inputs
    network = make_network("mlp")
    cond = cond.clone().requires_grad_()
    SAMPLERS["euler"](network, noise, cond).sum().backward()
    assert cond.grad is not None and cond.grad.abs().sum() > 0


def test_low_precision_networks_leave_the_chunk_in_full_precision(inputs):
    noise, cond = (tensor.float() for tensor in inputs)
    network = make_network("unet").float()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        chunk = SAMPLERS["ddim"](network, noise, cond)
    with torch.no_grad():
        exact = SAMPLERS["ddim"](network, noise, cond)
    assert chunk.dtype == torch.float32 and (chunk - exact).abs().max() < 0.1


@pytest.mark.parametrize(
    "name", ["ddim", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ddim, no clipping", "euler", "heun"))]
)
def test_sampling_is_one_graph_for_torch_compile(name, inputs):
    """Tracing without code generation: no graph breaks, no reading of data on the host, equal results."""
    noise, cond = inputs
    network = {"euler": "unet", "heun": "transformer"}.get(name, "mlp")
    prepared = prepare(SAMPLERS[name], make_network(network), dtype=torch.float64)
    if name == "ddim, no clipping":
        plain = ddim_sampler(Diffusion(DiffusionConfig(clip=None)).levels, DdimConfig(steps=5))
        prepared = prepare(plain, make_network("mlp"), dtype=torch.float64)
    with torch.no_grad():
        compiled = torch.compile(lambda noise, cond: prepared(noise, cond), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(noise, cond), prepared(noise, cond), atol=1e-12, rtol=1e-12)
