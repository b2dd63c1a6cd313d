"""Convolutions written as matrix products against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from robot_stack.models import conv1d
from robot_stack.models.conv1d import Conv1d, Upsample1d, product_is_faster


@pytest.fixture(params=[True, False], ids=["as product", "as convolution"])
def forced(request, monkeypatch):
    monkeypatch.setattr(conv1d, "product_is_faster", lambda *_: request.param)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(5, 1, 2), (3, 2, 1), (1, 1, 0), (3, 1, 1)])
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_conv_equals_torch(forced, kernel, stride, padding, steps, generator):
    layer = Conv1d(6, 4, kernel, stride=stride, padding=padding).double()
    x = torch.randn(3, 6, steps, generator=generator, dtype=torch.float64)
    expected = F.conv1d(x, layer.weight, layer.bias, stride=stride, padding=padding)
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)


def test_conv_gradients_equal_torch(forced, generator):
    layer = Conv1d(3, 2, 5, padding=2).double()
    x = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(F.conv1d(x, layer.weight, layer.bias, padding=2).sin().sum(), (x, layer.weight))
    actual = torch.autograd.grad(layer(x).sin().sum(), (x, layer.weight))
    for mine, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_upsampling_equals_torch(forced, steps, generator):
    layer = Upsample1d(3).double()
    x = torch.randn(2, 3, steps, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = F.conv_transpose1d(x, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)
    assert torch.autograd.gradcheck(layer, (x,))


def test_the_choice_depends_on_sizes_and_device_only():
    small, large = torch.empty(64, 64, 5), torch.empty(1024, 512, 5)
    x = torch.empty(1)
    assert not product_is_faster(x, small, rows=16)
    assert product_is_faster(x, large, rows=4096)
    middle = torch.empty(128, 128, 5)
    assert product_is_faster(x, middle, rows=8) and not product_is_faster(x, middle, rows=2048)
    assert not product_is_faster(torch.empty(1, device="meta"), large, rows=1)


def test_state_dict_is_that_of_torch():
    assert Conv1d(3, 2, 5).state_dict().keys() == torch.nn.Conv1d(3, 2, 5).state_dict().keys()
    assert Upsample1d(3).weight.shape == torch.nn.ConvTranspose1d(3, 3, 4).weight.shape
