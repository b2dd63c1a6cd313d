"""ResNet-18 against torchvision's."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robot_stack.core.errors import CheckpointError, ConfigError, UnknownNameError
from robot_stack.models.resnet import ResNet18, ResNet18Config, load_torchvision_weights
from robot_stack.models.torchvision_shim import ensure_torchvision


@pytest.fixture(scope="module")
def torchvision_resnet18():
    pytest.importorskip("torch")
    ensure_torchvision()
    from torchvision.models import resnet18

    torch.manual_seed(0)
    model = resnet18(weights=None)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
            nn.init.normal_(module.get_buffer("running_mean"), 0.0, 0.2)
    return model.eval()


def features_of(model, images):
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    return model.layer4(model.layer3(model.layer2(model.layer1(x))))


def test_parameters_are_named_and_shaped_as_in_torchvision(torchvision_resnet18):
    theirs = {n: tuple(p.shape) for n, p in torchvision_resnet18.named_parameters() if not n.startswith("fc.")}
    for norm in ("group", "batch"):
        assert {n: tuple(p.shape) for n, p in ResNet18(ResNet18Config(norm=norm)).named_parameters()} == theirs


def test_with_batch_norm_it_is_torchvisions_resnet18(torchvision_resnet18, tmp_path, generator):
    path = tmp_path / "resnet18.safetensors"
    save_file(torchvision_resnet18.state_dict(), path)
    model = ResNet18(ResNet18Config(norm="batch")).eval()
    load_torchvision_weights(model, path)
    images = torch.randn(2, 3, 64, 80, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(model(images), features_of(torchvision_resnet18, images), atol=1e-5, rtol=1e-5)


def test_with_group_norm_it_is_torchvisions_resnet18_with_its_norms_exchanged(generator):
    ensure_torchvision()
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(weights=None, norm_layer=lambda channels: nn.GroupNorm(channels // 16, channels)).eval()
    model = ResNet18().eval()
    load_torchvision_weights(model, theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(model(images), features_of(theirs, images), atol=1e-5, rtol=1e-5)


def test_batch_norm_weights_load_into_group_norm(torchvision_resnet18):
    model = ResNet18()
    load_torchvision_weights(model, torchvision_resnet18.state_dict())
    for name in ("layer3.0.conv1.weight", "bn1.bias"):
        assert torch.equal(model.get_parameter(name), torchvision_resnet18.get_parameter(name))
    groups = {m.num_channels // m.num_groups for m in model.modules() if isinstance(m, nn.GroupNorm)}
    assert groups == {16}


def test_images_in_a_batch_do_not_influence_each_other(generator):
    model = ResNet18(ResNet18Config(channels=(16, 16, 32, 32)))
    images = torch.randn(3, 3, 32, 32, generator=generator)
    torch.testing.assert_close(model(images)[:1], model(images[:1]), atol=1e-5, rtol=1e-4)
    assert model(images).shape == (3, 32, 1, 1) and model.out_channels == 32


def test_wrong_weights_and_sizes_are_refused(torchvision_resnet18):
    state = dict(torchvision_resnet18.state_dict())
    del state["layer2.0.conv1.weight"]
    with pytest.raises(CheckpointError, match=r"layer2\.0\.conv1\.weight"):
        load_torchvision_weights(ResNet18(), state)
    with pytest.raises(CheckpointError, match=r"bn1\.bias"):
        load_torchvision_weights(
            ResNet18(ResNet18Config(channels=(32, 64, 128, 256))), torchvision_resnet18.state_dict()
        )
    with pytest.raises(ConfigError, match="multiples of 16"):
        ResNet18(ResNet18Config(channels=(60, 64, 128, 256)))
    with pytest.raises(UnknownNameError, match="group"):
        ResNet18(ResNet18Config(norm="groop"))  # type: ignore[arg-type]
