"""From camera images to network inputs: crop, colour jitter, normalisation; random in training, fixed at inference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.random_draws import draw_integers, draw_uniform

LUMA = (0.299, 0.587, 0.114)
TO_YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""RGB to luma and the two chroma axes of NTSC."""
FROM_YIQ: list[list[float]] = torch.linalg.inv(torch.tensor(TO_YIQ, dtype=torch.float64)).tolist()
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ColorJitterConfig:
    """Ranges of random colour changes, drawn once per sample; defaults of the Large Behavior Models study.

    Args:
        brightness: factors of all channels.
        contrast: factors of the distance from the image's mean grey.
        saturation: factors of the distance from each pixel's grey.
        hue: rotations of the hue, in turns.
    """

    brightness: tuple[float, float] = (0.8, 1.2)
    contrast: tuple[float, float] = (0.6, 1.4)
    saturation: tuple[float, float] = (0.8, 1.2)
    hue: tuple[float, float] = (-0.05, 0.05)


@dataclass(frozen=True)
class ImageTransformConfig:
    """What happens to images before the network.

    Args:
        crop: (height, width) in pixels cut out, at random in training and from the centre at inference; ``None`` keeps
            the whole image. Diffusion Policy cuts 76x76 of 84x84 and 216x288 of 240x320.
        jitter: random colour changes in training; ``None`` for none.
        mean: subtracted from each channel of images in [0, 1].
        std: each channel is divided by it.
    """

    crop: tuple[int, int] | None = None
    jitter: ColorJitterConfig | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class ImageTransform:
    """Applies an :class:`ImageTransformConfig` to batches of image sequences.

    All frames of a sample share crop and colours, so that motion between frames stays motion.

    Args:
        config: what to do.
    """

    def __init__(self, config: ImageTransformConfig | None = None) -> None:
        self.config = config or ImageTransformConfig()

    def train(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Random crop and colours, then normalise.

        Args:
            images: (B, T, 3, H, W) uint8, or floating in [0, 1].
            generator: source of the random choices.

        Returns:
            (B, T, 3, h, w) floating, normalised.
        """
        if self.config.crop is not None:
            images = random_crop(images, self.config.crop, generator)
        images = to_unit_range(images)
        if self.config.jitter is not None:
            images = jitter_colors(images, self.config.jitter, generator)
        return self._normalize(images)

    def infer(self, images: Tensor) -> Tensor:
        """Centre crop, then normalise: (B, T, 3, H, W) uint8 or floating in [0, 1] -> (B, T, 3, h, w)."""
        if self.config.crop is not None:
            images = center_crop(images, self.config.crop)
        return self._normalize(to_unit_range(images))

    def _normalize(self, images: Tensor) -> Tensor:
        scale = torch.tensor([1.0 / s for s in self.config.std], dtype=images.dtype, device=images.device)
        offset = torch.tensor(
            [-m / s for m, s in zip(self.config.mean, self.config.std, strict=True)],
            dtype=images.dtype,
            device=images.device,
        )
        return torch.addcmul(offset.view(3, 1, 1), images, scale.view(3, 1, 1))


def to_unit_range(images: Tensor) -> Tensor:
    """Float images in [0, 1] from uint8; floating images pass unchanged."""
    return images if images.is_floating_point() else images.to(torch.float32).mul_(1.0 / 255.0)


def center_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut (height, width) from the middle of images (..., H, W); a view."""
    _check_crop(images, size)
    top, left = round((images.shape[-2] - size[0]) / 2), round((images.shape[-1] - size[1]) / 2)
    return images[..., top : top + size[0], left : left + size[1]]


def random_crop(images: Tensor, size: tuple[int, int], generator: torch.Generator | None) -> Tensor:
    """Cut another window from each sample of (B, T, C, H, W); all frames of a sample share it.

    Args:
        images: any type.
        size: (height, width) of the window.
        generator: source of the positions.

    Returns:
        (B, T, C, height, width), a copy.
    """
    _check_crop(images, size)
    batch, device = images.shape[0], images.device
    tops = draw_integers(images.shape[-2] - size[0] + 1, (batch,), generator, device)
    lefts = draw_integers(images.shape[-1] - size[1] + 1, (batch,), generator, device)
    return crop_at(images, size, tops, lefts)


def crop_at(images: Tensor, size: tuple[int, int], tops: Tensor, lefts: Tensor) -> Tensor:
    """Cut the window with corner (tops[b], lefts[b]) from sample b of (B, T, C, H, W)."""
    windows = images.unfold(-2, size[0], 1).unfold(-2, size[1], 1).movedim((3, 4), (1, 2))
    return windows[torch.arange(images.shape[0], device=images.device), tops, lefts]


def jitter_colors(images: Tensor, config: ColorJitterConfig, generator: torch.Generator | None) -> Tensor:
    """Change brightness, contrast, saturation and hue, by amounts drawn once per sample.

    In this order, all four are one affine map of RGB per sample. Hue turns the chroma plane of YIQ, which keeps luma.

    Args:
        images: (B, T, 3, H, W) floating in [0, 1].
        config: ranges.
        generator: source of the amounts.

    Returns:
        As ``images``, clipped to [0, 1].
    """
    ranges = (config.brightness, config.contrast, config.saturation, config.hue)
    draws = draw_uniform((4, images.shape[0]), generator, images.device).to(images.dtype)
    amounts = [low + (high - low) * draw for (low, high), draw in zip(ranges, draws, strict=True)]
    return adjust_colors(images, *amounts)


def adjust_colors(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Change colours by given amounts (B,) each; see :func:`jitter_colors`."""
    batch, frames = images.shape[:2]
    luma = images.new_tensor(LUMA)
    identity = torch.eye(3, dtype=images.dtype, device=images.device)
    saturate = saturation.view(-1, 1, 1) * identity + (1.0 - saturation).view(-1, 1, 1) * luma
    matrix = (brightness * contrast).view(-1, 1, 1) * (_hue_rotation(hue) @ saturate)
    flat = images.reshape(batch, frames, 3, -1)
    grey = torch.einsum("btc,c->bt", flat.mean(dim=-1), luma)
    offset = ((1.0 - contrast) * brightness).unsqueeze(1) * grey
    changed = torch.baddbmm(
        offset.reshape(-1, 1, 1), matrix.repeat_interleave(frames, dim=0), flat.view(batch * frames, 3, -1)
    )
    return changed.clamp_(0.0, 1.0).view(images.shape)


def _hue_rotation(turns: Tensor) -> Tensor:
    """RGB matrices (B, 3, 3) that turn the hue by ``turns`` (B,) in the chroma plane of YIQ."""
    angle = 2.0 * math.pi * turns
    rotation = torch.zeros(turns.shape[0], 3, 3, dtype=turns.dtype, device=turns.device)
    rotation[:, 0, 0] = 1.0
    rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
    rotation[:, 1, 2] = angle.sin()
    rotation[:, 2, 1] = -angle.sin()
    return turns.new_tensor(FROM_YIQ) @ rotation @ turns.new_tensor(TO_YIQ)


def _check_crop(images: Tensor, size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise ConfigError("a crop needs a positive height and width", got=size)
    if images.shape[-2] < size[0] or images.shape[-1] < size[1]:
        raise ShapeError(
            "the crop is larger than the image",
            got=f"images of {images.shape[-2]}x{images.shape[-1]}",
            expected=f"at least {size[0]}x{size[1]}",
        )
