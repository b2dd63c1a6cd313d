"""ResNet-18 (He et al., arXiv 1512.03385) with GroupNorm, for images in control policies.

BatchNorm's running statistics do not go together with averaged weights (EMA) and small correlated batches, so
Diffusion Policy replaces it by GroupNorm with 16 channels a group (arXiv 2303.04137, section on visual encoders).
Parameters are named and shaped as in torchvision's ``resnet18``, so that its weights load by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.errors import CheckpointError, ConfigError, require_name

Norm = Literal["group", "batch"]
CHANNELS_PER_GROUP = 16


@dataclass(frozen=True)
class ResNet18Config:
    """Shape of a ResNet-18 without its classifier.

    Args:
        channels: of the four stages; torchvision's weights need the default. Multiples of 16.
        norm: ``group`` (16 channels a group) or ``batch``.
    """

    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    norm: Norm = "group"


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a skip: (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = _norm_layer(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = _norm_layer(norm, out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), _norm_layer(norm, out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C_in, H, W)."""
        hidden = F.relu(self.bn1(self.conv1(x)), inplace=True)
        hidden = self.bn2(self.conv2(hidden))
        skip = x if self.downsample is None else self.downsample(x)
        return F.relu(hidden + skip, inplace=True)


class ResNet18(nn.Module):
    """ResNet-18 without pooling and classifier: (N, 3, H, W) -> (N, channels[3], ceil(H / 32), ceil(W / 32)).

    Args:
        config: channels and kind of norm.

    Raises:
        ConfigError: if the channels are not multiples of 16.
    """

    def __init__(self, config: ResNet18Config | None = None) -> None:
        super().__init__()
        config = config or ResNet18Config()
        require_name("norm", config.norm, get_args(Norm))
        if any(channels % CHANNELS_PER_GROUP or channels <= 0 for channels in config.channels):
            raise ConfigError("channels of a ResNet-18 must be multiples of 16", got=config.channels)
        self.config = config
        stem, second, third, fourth = config.channels
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = _norm_layer(config.norm, stem)
        self.layer1 = _stage(stem, stem, 1, config.norm)
        self.layer2 = _stage(stem, second, 2, config.norm)
        self.layer3 = _stage(second, third, 2, config.norm)
        self.layer4 = _stage(third, fourth, 2, config.norm)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def out_channels(self) -> int:
        """Channels of the feature map."""
        return self.config.channels[3]

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps (N, C, h, w) of normalised images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def load_torchvision_weights(model: ResNet18, state: Mapping[str, Tensor] | Path) -> None:
    """Load weights of torchvision's ``resnet18``, leaving out what has no place here (classifier, running statistics).

    With GroupNorm the scales and offsets of BatchNorm are taken over; they fit only roughly (group statistics of the
    image replace statistics of ImageNet), so the network needs to be trained on.

    Args:
        model: with the default channels.
        state: the state dict, or a safetensors file with it.

    Raises:
        CheckpointError: if a parameter is missing, of another shape, or unknown.
    """
    if isinstance(state, Path):
        from safetensors.torch import load_file

        state = load_file(state)
    wanted = model.state_dict()
    known = {name for name in state if not name.startswith("fc.")}
    if model.config.norm == "group":
        known = {name for name in known if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    wrong = sorted(known ^ set(wanted))
    wrong += sorted(name for name in known & set(wanted) if state[name].shape != wanted[name].shape)
    if wrong:
        raise CheckpointError(
            "the weights are not those of a torchvision resnet18",
            got=f"missing, unknown or of another shape: {', '.join(wrong[:8])}" + (", …" if len(wrong) > 8 else ""),
            expected=f"the {len(wanted)} tensors of torchvision.models.resnet18 with channels {model.config.channels}",
        )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(state[name])


def _norm_layer(norm: Norm, channels: int) -> nn.Module:
    if norm == "group":
        return nn.GroupNorm(channels // CHANNELS_PER_GROUP, channels)
    return nn.BatchNorm2d(channels)


def _stage(in_channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, norm), BasicBlock(out_channels, out_channels, 1, norm)
    )
