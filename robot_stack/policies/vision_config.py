"""How images become features, as plain data. Fields are those of models/vision.py and models/image_transform.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class JitterConfig:
    """Random colour changes in training, drawn once per sample; defaults of the Large Behavior Models study (2025)."""

    brightness: tuple[float, float] = (0.8, 1.2)
    """Factors of all channels."""

    contrast: tuple[float, float] = (0.6, 1.4)
    """Factors of the distance from the image's mean grey."""

    saturation: tuple[float, float] = (0.8, 1.2)
    """Factors of the distance from each pixel's grey."""

    hue: tuple[float, float] = (-0.05, 0.05)
    """Rotations of the hue [turn]."""


@dataclass(frozen=True)
class VisionConfig:
    """Cropping, colours and the encoder of camera images."""

    crop: tuple[int, int] | None = None
    """(height, width) [pixel] cut out, at random in training, else from the centre; ``None`` for the whole image."""

    jitter: JitterConfig | None = None
    """Random colours in training; ``None`` for none."""

    shared: bool = False
    """One encoder for all cameras, or one each (as in Diffusion Policy)."""

    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Of the four stages of ResNet-18."""

    norm: Literal["group", "batch"] = "group"
    """``"group"`` goes together with averaged weights, ``"batch"`` does not."""

    pooling: Literal["spatial_softmax", "mean"] = "spatial_softmax"
    """Keep where things are, or average over the image."""

    keypoints: int = 32
    """Of the spatial softmax."""

    feature_dim: int = 64
    """Numbers per camera and observation."""
