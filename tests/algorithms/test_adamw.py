"""AdamW against torch's plain implementation, its groups and its state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from robot_stack.algorithms.adamw import AdamW, AdamWConfig
from robot_stack.core.errors import CheckpointError, ConfigError


def network() -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


def loss_of(net: nn.Module, step: int) -> torch.Tensor:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return (net(x) - x[:, :2] * 3).square().mean()


def test_updates_are_those_of_torch_with_clipping_and_schedule() -> None:
    ours, theirs = network(), network()
    config = AdamWConfig(lr=0.05, betas=(0.9, 0.99), weight_decay=0.1, clip_norm=0.5)
    optimizer = AdamW(ours.named_parameters(), config, lambda step: 1.0 / step)
    decayed = [p for p in theirs.parameters() if p.ndim >= 2]
    others = [p for p in theirs.parameters() if p.ndim < 2]
    reference = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
        lr=0.05,
        betas=(0.9, 0.99),
        weight_decay=0.1,
        foreach=False,
        fused=False,
    )
    for step in range(1, 21):
        metrics = optimizer.step(loss_of(ours, step), step)
        reference.zero_grad()
        loss_of(theirs, step).backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        for group in reference.param_groups:
            group["lr"] = 0.05 / step
        reference.step()
        torch.testing.assert_close(metrics["gradient_norm"], norm, rtol=1e-3, atol=1e-5)
        assert metrics["lr"].item() == pytest.approx(0.05 / step)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_prefixes_learn_at_their_own_rate() -> None:
    net = network()
    before = copy.deepcopy(net)
    config = AdamWConfig(lr=0.1, weight_decay=0.0, lr_scales=(("0.", 0.1),))
    AdamW(net.named_parameters(), config, lambda _: 1.0).step(loss_of(net, 1), 1)
    moved = {n: (p - dict(before.named_parameters())[n]).abs().max().item() for n, p in net.named_parameters()}
    assert moved["0.weight"] == pytest.approx(0.01, rel=1e-3)  # Adam's first step is the learning rate
    assert moved["3.weight"] == pytest.approx(0.1, rel=1e-3)


def test_frozen_parameters_are_left_out() -> None:
    net = network()
    net[0].requires_grad_(False)
    before = dict(net.named_parameters())["0.weight"].clone()
    optimizer = AdamW(net.named_parameters(), AdamWConfig(lr=0.1), lambda _: 1.0)
    optimizer.step(loss_of(net, 1), 1)
    assert torch.equal(before, dict(net.named_parameters())["0.weight"])
    assert not any(name.startswith("0.") for name in optimizer.state_dict())
    net.requires_grad_(False)
    with pytest.raises(ConfigError, match="no trainable"):
        AdamW(net.named_parameters(), AdamWConfig(), lambda _: 1.0)


def test_a_prefix_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="vision"):
        AdamW(network().named_parameters(), AdamWConfig(lr_scales=(("vision", 0.1),)), lambda _: 1.0)


def test_state_goes_on_bit_for_bit_and_foreign_state_is_refused() -> None:
    nets = [network(), network()]
    first, second = (AdamW(n.named_parameters(), AdamWConfig(lr=0.1), lambda _: 1.0) for n in nets)
    for step in (1, 2, 3):
        first.step(loss_of(nets[0], step), step)
    nets[1].load_state_dict(nets[0].state_dict())
    second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
    for step in (4, 5):
        for net, optimizer in zip(nets, (first, second), strict=True):
            optimizer.step(loss_of(net, step), step)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(CheckpointError, match="other parameters"):
        second.load_state_dict({"9.weight/exp_avg": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="another shape"):
        second.load_state_dict({"0.weight/exp_avg": torch.zeros(1)})
