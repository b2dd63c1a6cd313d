"""Masked losses and the denoising loss."""

from __future__ import annotations

import pytest
import torch

from robot_stack.models.denoiser import FunctionDenoiser
from robot_stack.models.diffusion import Diffusion
from robot_stack.models.flow_matching import FlowMatching
from robot_stack.models.losses import denoising_loss, masked_l1, masked_mean, masked_mse


def test_masked_means_count_valid_steps_only(generator):
    prediction = torch.randn(3, 4, 2, generator=generator)
    target = torch.randn(3, 4, 2, generator=generator)
    valid = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)
    terms = [
        (prediction[b, t, a] - target[b, t, a]).item()
        for b in range(3)
        for t in range(4)
        for a in range(2)
        if valid[b, t]
    ]
    assert masked_mse(prediction, target, valid).item() == pytest.approx(sum(e * e for e in terms) / len(terms))
    assert masked_l1(prediction, target, valid).item() == pytest.approx(sum(map(abs, terms)) / len(terms))
    torch.testing.assert_close(masked_mse(prediction, target), torch.nn.functional.mse_loss(prediction, target))


def test_padding_gets_no_gradient_and_no_valid_step_gives_zero(generator):
    prediction = torch.randn(2, 3, 2, generator=generator, requires_grad=True)
    valid = torch.tensor([[True, False, True], [False, False, False]])
    masked_mse(prediction, torch.zeros(2, 3, 2), valid).backward()
    assert prediction.grad is not None
    assert torch.equal(prediction.grad.abs().sum(-1) > 0, valid)
    assert masked_mean(torch.ones(2, 3, 2), torch.zeros(2, 3, dtype=torch.bool)) == 0


def test_low_precision_predictions_are_compared_in_full_precision():
    target = torch.full((1, 1, 1), 1.0)
    loss = masked_mse(torch.full((1, 1, 1), 1.0078125, dtype=torch.bfloat16), target)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(0.0078125**2)


def test_a_network_that_knows_the_answer_has_no_loss(generator):
    """With one data point the optimal predictions are known in closed form for both processes."""
    clean = torch.randn(1, 4, 2, generator=generator)
    cond = torch.zeros(1, 1)

    flow = FunctionDenoiser(lambda x, time, cond: (x - clean) / (time / 1000.0).view(-1, 1, 1))
    assert denoising_loss(flow, FlowMatching(), clean, cond, generator) < 1e-6

    process = Diffusion()
    alpha = torch.tensor(process.levels.alpha_bars)
    know = lambda x, t, c: (x - alpha[t].sqrt() * clean) / (1 - alpha[t]).sqrt()  # noqa: E731
    assert denoising_loss(FunctionDenoiser(know), process, clean, cond, generator) < 1e-6


def test_loss_is_reproducible_from_the_generator():
    clean, cond = torch.ones(4, 3, 2), torch.zeros(4, 1)
    network = FunctionDenoiser(lambda x, time, cond: x)
    losses = [
        denoising_loss(network, FlowMatching(), clean, cond, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
