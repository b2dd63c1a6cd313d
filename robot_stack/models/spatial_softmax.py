"""Spatial softmax: feature maps to image-space keypoints (Finn et al., arXiv 1509.06113; as used by robomimic)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpatialSoftmax(nn.Module):
    """Expected position of each of K maps under the softmax of its activations.

    Args:
        in_channels: channels of the feature map, reduced to K maps by a 1x1 convolution.
        keypoints: K.
    """

    def __init__(self, in_channels: int, keypoints: int = 32) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.reduce = nn.Conv2d(in_channels, keypoints, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, C, h, w) to keypoints (N, K, 2): x to the right, then y down, each in [-1, 1]."""
        logits = self.reduce(features)
        height, width = logits.shape[-2:]
        weight = logits.flatten(2).float().softmax(dim=-1)
        x = torch.linspace(-1.0, 1.0, width, device=weight.device).repeat(height)
        y = torch.linspace(-1.0, 1.0, height, device=weight.device).repeat_interleave(width)
        return (weight @ torch.stack((x, y), dim=1)).to(logits.dtype)
