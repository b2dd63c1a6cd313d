"""The U-Net against outputs of the reference implementation, against a re-derivation, and against itself in parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from robot_stack.core.errors import CheckpointError, ConfigError, ShapeError
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig
from robot_stack.models.unet1d_weights import load_foreign_weights

GOLDEN = Path(__file__).parent / "golden" / "unet1d_reference.safetensors"
TINY = Unet1dConfig(down_dims=(8, 16), kernel_size=5, groups=8, time_embed_dim=8)
CONFIGS = {
    "scale": TINY,
    "bias": Unet1dConfig(down_dims=(8, 8, 16), kernel_size=3, groups=8, time_embed_dim=8, film_scale=False),
}


def golden(tag: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    tensors = {k.removeprefix(f"{tag}/"): v for k, v in load_file(GOLDEN).items() if k.startswith(f"{tag}/")}
    weights = {k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")}
    return weights, tensors


def lerobot_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights under LeRobot's parameter names."""
    renamed = {}
    for name, tensor in weights.items():
        name = name.replace("blocks.0.block", "conv1.block").replace("blocks.1.block", "conv2.block")
        renamed["diffusion.unet." + name.replace(".2.conv.", ".2.")] = tensor
    return renamed


@pytest.mark.parametrize("tag", CONFIGS)
@pytest.mark.parametrize("naming", ["diffusion_policy", "lerobot"])
def test_outputs_and_gradients_of_the_reference_are_reproduced(tag, naming):
    weights, tensors = golden(tag)
    network = ConditionalUnet1d(2, 3, CONFIGS[tag])
    if naming == "lerobot":
        load_foreign_weights(network, lerobot_names(weights), prefix="diffusion.unet.")
    else:
        load_foreign_weights(network, weights)
    output = network(tensors["x"], tensors["time"], tensors["cond"])
    torch.testing.assert_close(output, tensors["output"], atol=2e-6, rtol=2e-6)
    output.square().sum().backward()
    first_conv = network.residual_blocks()[0].first.conv.weight.grad
    torch.testing.assert_close(first_conv, tensors["gradient_first_conv"], atol=2e-4, rtol=1e-4)
    rows = network.residual_blocks()[-1].film_sizes
    time_grad, cond_grad = network.film_time.weight.grad, network.film_cond.weight.grad
    assert time_grad is not None and cond_grad is not None
    film = torch.cat((time_grad, cond_grad), dim=1)[-sum(rows) :]
    torch.testing.assert_close(film, tensors["gradient_last_film"], atol=2e-4, rtol=1e-4)


def test_foreign_weights_of_other_sizes_are_refused():
    weights, _ = golden("scale")
    with pytest.raises(CheckpointError, match=r"film_cond.weight is \(192, 3\), needed \(192, 4\)"):
        load_foreign_weights(ConditionalUnet1d(2, 4, TINY), weights)
    with pytest.raises(CheckpointError, match="diffusion_step_encoder"):
        load_foreign_weights(ConditionalUnet1d(2, 3, TINY), weights, prefix="model.")
    with pytest.raises(CheckpointError, match="no place"):
        load_foreign_weights(ConditionalUnet1d(2, 3, TINY), weights | {"local_cond_encoder.0.x": torch.zeros(1)})


def test_default_sizes_have_the_published_number_of_parameters():
    with torch.device("meta"):
        network = ConditionalUnet1d(7, 48)
    assert sum(p.numel() for p in network.parameters()) == 65_906_951


def test_film_is_one_linear_layer_over_time_and_condition(generator):
    """Independent re-derivation of one residual block from the formulas."""
    network = ConditionalUnet1d(2, 3, TINY).double()
    block = network.residual_blocks()[0]
    x = torch.randn(4, 2, 12, generator=generator, dtype=torch.float64)
    time, cond = torch.tensor([3, 8, 50, 99]), torch.randn(4, 3, generator=generator, dtype=torch.float64)
    film = network.modulation(network.encode_times(time), network.encode_cond(cond))[:, :16]

    joined = torch.cat((network.time_embedding(time.double()), cond), dim=1)
    weight = torch.cat((network.film_time.weight, network.film_cond.weight), dim=1)[:16]
    mish = joined * torch.tanh(torch.log1p(torch.exp(joined)))
    expected_film = mish @ weight.T + network.film_cond.bias[:16]
    torch.testing.assert_close(film, expected_film, atol=1e-6, rtol=1e-6)

    def conv_block(part, value):
        out = F.conv1d(value, part.conv.weight, part.conv.bias, padding=2)
        grouped = out.reshape(4, 8, -1)
        grouped = (grouped - grouped.mean(-1, keepdim=True)) / (
            grouped.var(-1, keepdim=True, unbiased=False) + 1e-5
        ).sqrt()
        out = grouped.reshape(out.shape) * part.norm.weight[:, None] + part.norm.bias[:, None]
        return out * torch.tanh(torch.log1p(torch.exp(out)))

    scale, bias = expected_film[:, :8, None], expected_film[:, 8:, None]
    hidden = conv_block(block.second, conv_block(block.first, x) * scale + bias)
    expected = hidden + F.conv1d(x, block.get_parameter("skip.weight"), block.get_parameter("skip.bias"))
    actual = block(x, (film[:, :8].unsqueeze(-1), film[:, 8:].unsqueeze(-1)))
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("tag", CONFIGS)
def test_conditioning_computed_ahead_changes_nothing(tag, generator):
    network = ConditionalUnet1d(2, 3, CONFIGS[tag]).double()
    times = torch.tensor([90.0, 40.0, 0.0], dtype=torch.float64)
    x = torch.randn(5, 8, 2, generator=generator, dtype=torch.float64)
    cond = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    ahead = network.modulation(network.encode_times(times).unsqueeze(1), network.encode_cond(cond).unsqueeze(0))
    assert ahead.shape[:2] == (3, 5)
    for time, modulation in zip(times, ahead, strict=True):
        expected = network(x, time.expand(5), cond)
        torch.testing.assert_close(network.forward_modulated(x, modulation), expected, atol=1e-12, rtol=1e-12)


def test_every_parameter_but_the_unused_ones_gets_a_gradient(generator):
    network = ConditionalUnet1d(2, 3, TINY)
    x, cond = torch.randn(4, 8, 2, generator=generator), torch.randn(4, 3, generator=generator)
    network(x, torch.tensor([1, 20, 50, 80]), cond).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_time_and_condition_matter_and_samples_do_not_mix(generator):
    network = ConditionalUnet1d(2, 3, TINY)
    x, cond = torch.randn(2, 8, 2, generator=generator), torch.randn(2, 3, generator=generator)
    base = network(x, torch.tensor([5, 5]), cond)
    assert (network(x, torch.tensor([5, 60]), cond) - base)[1].abs().max() > 1e-4
    changed = cond.clone()
    changed[1] += 1.0
    difference = (network(x, torch.tensor([5, 5]), changed) - base).abs().amax(dim=(1, 2))
    assert difference[0] == 0 and difference[1] > 1e-4


def test_bfloat16_autocast_stays_close(generator):
    network = ConditionalUnet1d(2, 3, TINY)
    x, cond = torch.randn(4, 8, 2, generator=generator), torch.randn(4, 3, generator=generator)
    time = torch.tensor([0, 1, 50, 99])
    expected = network(x, time, cond)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = network(x, time, cond)
    assert (actual.float() - expected).abs().max() < 0.05 * expected.abs().max()
    half = network.bfloat16()(x.bfloat16(), time, cond.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_unconditional_network_takes_empty_conditions(generator):
    network = ConditionalUnet1d(2, 0, TINY)
    assert network(torch.randn(3, 8, 2, generator=generator), torch.zeros(3), torch.empty(3, 0)).shape == (3, 8, 2)


def test_wrong_sizes_are_refused():
    with pytest.raises(ShapeError, match="multiple of 4"):
        ConditionalUnet1d(2, 3, CONFIGS["bias"])(torch.zeros(1, 10, 2), torch.zeros(1), torch.zeros(1, 3))
    with pytest.raises(ConfigError, match="multiple of groups"):
        ConditionalUnet1d(2, 3, Unet1dConfig(down_dims=(12,), groups=8))
    with pytest.raises(ConfigError, match="odd"):
        ConditionalUnet1d(2, 3, Unet1dConfig(kernel_size=4))
    with pytest.raises(ConfigError, match="even size"):
        ConditionalUnet1d(2, 3, Unet1dConfig(time_embed_dim=7))
