"""Spatial softmax and camera encoders."""

from __future__ import annotations

import math

import pytest
import torch

from robot_stack.core.errors import ConfigError, ShapeError, UnknownNameError
from robot_stack.models.resnet import ResNet18Config
from robot_stack.models.spatial_softmax import SpatialSoftmax
from robot_stack.models.vision import CameraEncoder, ImageEncoder, ImageEncoderConfig

SMALL = ImageEncoderConfig(resnet=ResNet18Config(channels=(16, 16, 16, 16)), keypoints=4, feature_dim=6)


def test_keypoints_are_expected_positions(generator):
    torch.manual_seed(0)
    pool = SpatialSoftmax(3, keypoints=2)
    features = torch.randn(2, 3, 4, 5, generator=generator)
    keypoints = pool(features)
    weight, bias = pool.reduce.weight[:, :, 0, 0], pool.reduce.bias
    assert bias is not None
    for sample in range(2):
        for k in range(2):
            mass, x, y = 0.0, 0.0, 0.0
            for row in range(4):
                for column in range(5):
                    logit = bias[k] + sum(weight[k, c] * features[sample, c, row, column] for c in range(3))
                    w = math.exp(logit.item())
                    mass += w
                    x += w * (-1 + 2 * column / 4)
                    y += w * (-1 + 2 * row / 3)
            assert keypoints[sample, k].tolist() == pytest.approx([x / mass, y / mass], abs=1e-5)


def test_keypoints_move_with_a_blob():
    pool = SpatialSoftmax(1, keypoints=1)
    with torch.no_grad():
        pool.reduce.weight.fill_(1.0)
        pool.reduce.bias.zero_()  # type: ignore[union-attr]
    for row, column in ((0, 0), (3, 1), (2, 4)):
        features = torch.zeros(1, 1, 4, 5)
        features[0, 0, row, column] = 50.0
        assert pool(features)[0, 0].tolist() == pytest.approx([-1 + column / 2, -1 + 2 * row / 3], abs=1e-4)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("pooling", "feature_dim", "expected"), [("spatial_softmax", 6, 6), ("mean", None, 16)])
def test_encoder_sizes_and_gradients(channels_last, pooling, feature_dim, expected, generator):
    config = ImageEncoderConfig(SMALL.resnet, pooling, 4, feature_dim, channels_last)
    encoder = ImageEncoder(config)
    features = encoder(torch.randn(3, 3, 40, 48, generator=generator))
    assert features.shape == (3, expected) and encoder.feature_dim == expected
    features.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters() if p.dim() == 4)
    assert all(tensor.is_contiguous() for tensor in encoder.state_dict().values())


def test_memory_layout_does_not_change_the_result(generator):
    torch.manual_seed(0)
    encoder = ImageEncoder(SMALL)
    plain = ImageEncoder(ImageEncoderConfig(SMALL.resnet, "spatial_softmax", 4, 6, channels_last=False))
    plain.load_state_dict(encoder.state_dict())
    images = torch.randn(2, 3, 33, 47, generator=generator)
    torch.testing.assert_close(encoder(images), plain(images), atol=1e-5, rtol=1e-4)


def test_cameras_are_concatenated_in_their_order(generator):
    torch.manual_seed(0)
    encoder = CameraEncoder(("wrist", "front"), SMALL)
    images = {name: torch.randn(2, 3, 3, 32, 32, generator=generator) for name in ("front", "wrist", "other")}
    features = encoder(images)
    assert features.shape == (2, 3, 12) and encoder.feature_dim == 12
    alone = encoder.encoders[1](images["front"][1, 2].unsqueeze(0))
    torch.testing.assert_close(features[1, 2, 6:], alone[0], atol=1e-5, rtol=1e-4)
    assert sum(p.numel() for p in encoder.parameters()) == 2 * sum(p.numel() for p in encoder.encoders[0].parameters())


def test_shared_encoder_treats_cameras_alike_even_at_different_sizes(generator):
    torch.manual_seed(0)
    encoder = CameraEncoder(("a", "b"), SMALL, shared=True)
    image = torch.randn(2, 1, 3, 32, 32, generator=generator)
    same = encoder({"a": image, "b": image})
    torch.testing.assert_close(same[..., :6], same[..., 6:])
    other = encoder({"a": image, "b": torch.randn(2, 1, 3, 48, 32, generator=generator)})
    torch.testing.assert_close(other[..., :6], same[..., :6], atol=1e-5, rtol=1e-4)


def test_wrong_cameras_are_refused():
    encoder = CameraEncoder(("a",), SMALL)
    with pytest.raises(ShapeError, match="missing"):
        encoder({"b": torch.zeros(1, 1, 3, 32, 32)})
    with pytest.raises(ShapeError, match="'a'"):
        encoder({"a": torch.zeros(1, 1, 32, 32, 3)})
    for cameras in ((), ("a", "a")):
        with pytest.raises(ConfigError, match="distinct"):
            CameraEncoder(cameras, SMALL)
    with pytest.raises(UnknownNameError, match="mean"):
        ImageEncoder(ImageEncoderConfig(pooling="meen"))  # type: ignore[arg-type]
