"""From observations to the condition of a network. Training and inference go through this one path."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ShapeError
from robot_stack.models.image_transform import ColorJitterConfig, ImageTransform, ImageTransformConfig, to_unit_range
from robot_stack.models.resnet import ResNet18Config
from robot_stack.models.vision import CameraEncoder, ImageEncoderConfig
from robot_stack.policies.config import InputConfig, PolicyConfig
from robot_stack.policies.language import language_module
from robot_stack.policies.normalizer_table import NormalizerTable
from robot_stack.policies.normalizers import PolicyNormalizers
from robot_stack.policies.observation_batch import IMAGE, STATE
from robot_stack.policies.vision_config import VisionConfig


class ObservationEncoder(nn.Module):
    """The last observations and the task as one vector.

    In training mode images are cropped and coloured at random, else cropped from the centre; nothing else differs.

    Args:
        config: of the policy.
        embodiment: whose observations come.
        normalizers: of the state.
        tasks: instructions of the training tasks.
        task_vectors: of the text encoder for ``tasks``.

    Raises:
        UnknownNameError: if a state field or camera does not exist.
    """

    state_index: Tensor

    def __init__(
        self,
        config: PolicyConfig,
        embodiment: Embodiment,
        normalizers: PolicyNormalizers,
        tasks: tuple[str, ...],
        task_vectors: np.ndarray | None,
    ) -> None:
        super().__init__()
        inputs = config.inputs
        self.inputs, self.embodiment = inputs, embodiment
        indices = embodiment.state_indices(state_fields(inputs, embodiment))
        self.register_buffer("state_index", torch.as_tensor(indices), persistent=False)
        self.state_size = len(indices)
        self.state_normalizer: NormalizerTable | None = None
        if len(indices):
            picked = [source.state.select(indices) for source in normalizers.sources]
            self.state_normalizer = NormalizerTable(picked, len(indices))
        self.image_shapes = {name: embodiment.camera(name).shape for name in inputs.cameras}
        self.vision: CameraEncoder | None = None
        if inputs.cameras:
            self.transform = image_transform(config.vision)
            self.vision = CameraEncoder(inputs.cameras, image_encoder(config.vision), shared=config.vision.shared)
        self.language = language_module(config.language, tasks, task_vectors)
        per_step = self.state_size + (self.vision.feature_dim if self.vision is not None else 0)
        self.cond_dim = inputs.n_obs_steps * per_step
        if self.language is not None:
            self.cond_dim += self.language.feature_dim

    def forward(self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None) -> Tensor:
        """Encode the observation entries of a batch as ``(B, cond_dim)``.

        Args:
            batch: see :mod:`robot_stack.policies.observation_batch` and :mod:`robot_stack.policies.language`.
            generator: source of random crops and colours.

        Raises:
            ShapeError: if an entry is missing or does not match the embodiment.
        """
        parts: list[Tensor] = []
        if self.state_normalizer is not None:
            state = self._checked(batch, STATE, (self.embodiment.state_size,))
            state = state.index_select(-1, self.state_index)
            parts.append(self.state_normalizer.normalize(state, batch).flatten(1))
        if self.vision is not None:
            images = {name: self._images(batch, name, generator) for name in self.inputs.cameras}
            parts.append(self.vision(images).flatten(1))
        if self.language is not None:
            parts.append(self.language(batch))
        return torch.cat([part.float() for part in parts], dim=-1)

    def _images(self, batch: Mapping[str, Tensor], camera: str, generator: torch.Generator | None) -> Tensor:
        images = self._checked(batch, IMAGE + camera, self.image_shapes[camera]).movedim(-1, -3)
        if self.inputs.image_size is not None and images.shape[-2:] != self.inputs.image_size:
            images = resize(images, self.inputs.image_size)
        return self.transform.train(images, generator) if self.training else self.transform.infer(images)

    def _checked(self, batch: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        value = batch.get(name)
        expected = (self.inputs.n_obs_steps, *shape)
        if value is None or value.shape[1:] != expected:
            raise ShapeError(
                f"the batch entry {name!r} is missing or has the wrong shape",
                where=f"a policy for {self.embodiment.name!r}",
                got=f"entries {sorted(batch)}" if value is None else tuple(value.shape),
                expected=f"(B, {', '.join(map(str, expected))})",
            )
        return value


def state_fields(inputs: InputConfig, embodiment: Embodiment) -> tuple[str, ...]:
    """Names of the state fields a policy looks at."""
    return tuple(f.name for f in embodiment.state) if inputs.state is None else inputs.state


def image_transform(config: VisionConfig) -> ImageTransform:
    """Crop, colours and normalisation of images."""
    jitter = config.jitter
    colors = None
    if jitter is not None:
        colors = ColorJitterConfig(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    return ImageTransform(ImageTransformConfig(crop=config.crop, jitter=colors))


def image_encoder(config: VisionConfig) -> ImageEncoderConfig:
    """Shape of the image encoder."""
    resnet = ResNet18Config(config.channels, config.norm)
    return ImageEncoderConfig(resnet, config.pooling, config.keypoints, config.feature_dim)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ``(B, T, 3, H, W)`` uint8 images to float images ``(B, T, 3, *size)`` in [0, 1], without aliasing."""
    flat = to_unit_range(images.flatten(0, 1))
    flat = F.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return flat.unflatten(0, images.shape[:2])
