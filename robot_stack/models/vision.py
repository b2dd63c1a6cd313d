"""Camera images to one feature vector per time step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, ShapeError, require_name
from robot_stack.models.resnet import ResNet18, ResNet18Config
from robot_stack.models.spatial_softmax import SpatialSoftmax

Pooling = Literal["spatial_softmax", "mean"]


@dataclass(frozen=True)
class ImageEncoderConfig:
    """An image encoder: ResNet-18, pooling, Linear, ReLU.

    Args:
        resnet: the backbone.
        pooling: ``spatial_softmax`` keeps where things are, ``mean`` averages over the image.
        keypoints: of the spatial softmax.
        feature_dim: size of the result; ``None`` ends after pooling, without Linear and ReLU.
        channels_last: keep activations with channels innermost, which convolutions like (weights stay contiguous).
    """

    resnet: ResNet18Config = field(default_factory=ResNet18Config)
    pooling: Pooling = "spatial_softmax"
    keypoints: int = 32
    feature_dim: int | None = 64
    channels_last: bool = True


class ImageEncoder(nn.Module):
    """Normalised images (N, 3, H, W) to features (N, feature_dim).

    Args:
        config: shape of the encoder.
    """

    def __init__(self, config: ImageEncoderConfig | None = None) -> None:
        super().__init__()
        config = config or ImageEncoderConfig()
        require_name("pooling", config.pooling, get_args(Pooling))
        self.config = config
        self.backbone = ResNet18(config.resnet)
        self.pool: SpatialSoftmax | None = None
        pooled = self.backbone.out_channels
        if config.pooling == "spatial_softmax":
            self.pool = SpatialSoftmax(self.backbone.out_channels, config.keypoints)
            pooled = 2 * config.keypoints
        self.out = nn.Linear(pooled, config.feature_dim) if config.feature_dim is not None else None
        self.feature_dim = pooled if config.feature_dim is None else config.feature_dim

    def forward(self, images: Tensor) -> Tensor:
        """Encode (N, 3, H, W) floating images."""
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        maps = self.backbone(images)
        pooled = maps.mean(dim=(-2, -1)) if self.pool is None else self.pool(maps).flatten(1)
        return pooled if self.out is None else F.relu(self.out(pooled))


class CameraEncoder(nn.Module):
    """Images of several cameras to one vector per time step.

    Args:
        cameras: names, in the order in which their features are concatenated.
        config: of each encoder.
        shared: one encoder for all cameras, or one each (as in Diffusion Policy).

    Raises:
        ConfigError: if no camera is named, or one twice.
    """

    def __init__(
        self, cameras: tuple[str, ...], config: ImageEncoderConfig | None = None, *, shared: bool = False
    ) -> None:
        super().__init__()
        if not cameras or len(set(cameras)) != len(cameras):
            raise ConfigError("a camera encoder needs distinct cameras", got=cameras)
        self.cameras, self.shared = cameras, shared
        self.encoders = nn.ModuleList([ImageEncoder(config) for _ in range(1 if shared else len(cameras))])
        self.feature_dim: int = len(cameras) * self.encoders[0].feature_dim  # type: ignore[operator]

    def forward(self, images: Mapping[str, Tensor]) -> Tensor:
        """Encode transformed images.

        Args:
            images: for each camera (B, T, 3, H, W), as :class:`ImageTransform` gives them. Extra entries are ignored.

        Returns:
            (B, T, cameras * feature_dim).

        Raises:
            ShapeError: if a camera is missing, or an image has another number of axes.
        """
        stacks = [_sequence(images, name) for name in self.cameras]
        batch, frames = stacks[0].shape[:2]
        flat = [stack.flatten(0, 1) for stack in stacks]
        if self.shared and len({tuple(stack.shape) for stack in flat}) == 1:
            features = self.encoders[0](torch.cat(flat)).chunk(len(flat))
        else:
            features = [self.encoders[0 if self.shared else index](stack) for index, stack in enumerate(flat)]
        return torch.cat([feature.view(batch, frames, -1) for feature in features], dim=-1)


def _sequence(images: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in images:
        raise ShapeError("images of a camera are missing", got=f"cameras {sorted(images)}", expected=name)
    if images[name].dim() != 5 or images[name].shape[2] != 3:
        raise ShapeError(
            f"images of camera {name!r} have the wrong shape",
            got=tuple(images[name].shape),
            expected="(batch, time, 3, height, width)",
        )
    return images[name]
