"""The averaged weights against the recursion written out, with the published schedule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robot_stack.core.errors import ConfigError
from robot_stack.models.ema import Ema, EmaConfig


def published_decay(step: int) -> float:
    """Schedule of Diffusion Policy for power 0.75, update number ``step`` from 0."""
    return 0.0 if step <= 1 else min(1 - step**-0.75, 0.9999)


def test_decay_follows_the_published_schedule():
    config = EmaConfig()
    for step in (0, 1, 2, 3, 10, 1_000, 215_000, 10**7):
        assert config.decay(step) == pytest.approx(published_decay(step), abs=1e-12)
    assert EmaConfig(update_after_step=10).decay(11) == 0.0
    assert EmaConfig(update_after_step=10).decay(12) == pytest.approx(1 - 2**-0.75)
    assert EmaConfig(min_decay=0.5).decay(2) == 0.5


def test_average_follows_the_recursion(generator):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    module[0].bias.requires_grad_(False)
    ema = Ema(module)
    expected = {name: p.detach().clone() for name, p in module.named_parameters()}
    for step in range(12):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            module.get_buffer("1.running_mean").add_(1.0)
        decay = ema.update(module)
        assert decay == pytest.approx(published_decay(step))
        for name, parameter in module.named_parameters():
            kept = decay if parameter.requires_grad else 0.0
            expected[name] = kept * expected[name] + (1 - kept) * parameter.detach()
    for name, parameter in ema.module.named_parameters():
        torch.testing.assert_close(parameter, expected[name], atol=1e-12, rtol=1e-12)
    assert torch.equal(ema.module.get_buffer("1.running_mean"), module.get_buffer("1.running_mean"))


def test_average_is_apart_from_the_module_and_in_evaluation_mode():
    module = nn.Linear(2, 2)
    ema = Ema(module)
    assert not ema.module.training and not any(p.requires_grad for p in ema.module.parameters())
    before = ema.module.weight.clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    assert torch.equal(ema.module.weight, before)


def test_resuming_continues_exactly(generator):
    module = nn.Linear(3, 3)
    ema = Ema(module)
    resumed = Ema(nn.Linear(3, 3))
    for step in range(10):
        with torch.no_grad():
            module.weight.add_(torch.randn(3, 3, generator=generator))
        ema.update(module)
        if step == 4:
            resumed.load_state_dict(ema.state_dict())
        elif step > 4:
            resumed.update(module)
    assert resumed.step == ema.step == 10
    assert torch.equal(resumed.module.weight, ema.module.weight)
    with pytest.raises(ConfigError, match="step count"):
        resumed.load_state_dict({"module": {}})


def test_float32_average_of_low_precision_weights():
    module = nn.Linear(2, 2, bias=False).bfloat16()
    ema = Ema(module)
    ema.module.float()
    for _ in range(4):
        ema.update(module)
    torch.testing.assert_close(ema.module.weight, module.weight.float())


def test_a_held_average_stays_and_a_released_one_moves_as_ever(generator):
    module = nn.Linear(3, 3)
    held, plain = Ema(module), Ema(module)
    for step in range(8):
        with torch.no_grad():
            module.weight.add_(torch.randn(3, 3, generator=generator))
        before = held.module.weight.clone()
        hold = torch.tensor(1.0 if step in (3, 6) else 0.0)
        held.update(module, hold=hold)
        if hold:
            assert torch.equal(held.module.weight, before)
            plain.step += 1
        else:
            plain.update(module)
        torch.testing.assert_close(held.module.weight, plain.module.weight, atol=1e-6, rtol=1e-6)
