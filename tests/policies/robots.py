"""Small policies on a small robot with two cameras, shared by the tests of policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.observation import Observation
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.policies.config import (
    BehaviorCloningConfig,
    DiffusionPolicyConfig,
    InputConfig,
    LanguageConfig,
    NormalizationConfig,
)
from robot_stack.policies.loading import AnyPolicy, make_policy
from robot_stack.policies.network_config import ChunkMlpConfig, MlpDenoiserConfig, UnetConfig
from robot_stack.policies.normalizers import PolicyNormalizers, SourceRows, fit_normalizers
from robot_stack.policies.process_config import DdpmSamplerConfig, DiffusionProcessConfig
from robot_stack.policies.vision_config import JitterConfig, VisionConfig

ARM = Embodiment(
    name="test/arm",
    state=(Field("joints", 3, "rad", ("a", "b", "c")), Field("hand", 2, "m"), Field("goal", 2, "m")),
    action=(Field("joint_target", 3, "rad", low=(-1.0,) * 3, high=(1.0,) * 3), Field("grip", 1, "1")),
    cameras=(CameraSpec("front", 40, 48), CameraSpec("wrist", 40, 48, "hand")),
    control_hz=10.0,
    limits=SafetyLimits(max_step=(0.1,) * 4),
    model_sha256="12" * 32,
)
SMALL_UNET = UnetConfig(down_dims=(16, 32), groups=4, time_embed_dim=16)
SMALL_MLP = MlpDenoiserConfig(width=32, depth=2, time_embed_dim=16)
STATE_ONLY = InputConfig(n_obs_steps=2)
TWO_CAMERAS = InputConfig(state=("joints", "hand"), cameras=("wrist", "front"), n_obs_steps=2)
SMALL_VISION = VisionConfig(crop=(32, 40), jitter=JitterConfig(), channels=(16, 16, 16, 16), keypoints=4, feature_dim=8)
DIFFUSION = DiffusionPolicyConfig(
    inputs=STATE_ONLY, horizon=8, n_action_steps=4, network=SMALL_MLP, vision=SMALL_VISION
)
STOCHASTIC = replace(DIFFUSION, process=DiffusionProcessConfig(train_steps=20, sampler=DdpmSamplerConfig(steps=5)))
CLONING = BehaviorCloningConfig(
    inputs=STATE_ONLY, horizon=8, n_action_steps=4, network=ChunkMlpConfig((32,)), vision=SMALL_VISION
)


def rows(name: str = "demos", *, seed: int = 0, center: float = 0.0, count: int = 200) -> SourceRows:
    """Random training data around ``center``."""
    rng = np.random.default_rng(seed)
    state = center + rng.uniform(-2.0, 2.0, (count, ARM.state_size))
    return SourceRows(name, state, center + rng.uniform(-1.0, 1.0, (count, ARM.action_size)))


def normalizers(config: NormalizationConfig | None = None, *sources: SourceRows) -> PolicyNormalizers:
    return fit_normalizers(config or NormalizationConfig(), sources or (rows(),))


def policy(
    config: DiffusionPolicyConfig | BehaviorCloningConfig = DIFFUSION,
    *,
    language: LanguageConfig | None = None,
    tasks: tuple[str, ...] = ("push the cube", "open the drawer"),
    vectors: np.ndarray | None = None,
    fitted: PolicyNormalizers | None = None,
    seed: int = 3,
) -> Any:
    """A policy with random weights everywhere, so that every part has a say (adaLN-zero starts silent)."""
    config = replace(config, language=language)
    made = make_policy(config, ARM, fitted or normalizers(config.normalization), tasks, vectors, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05, generator=generator)
    return made


def observation(seed: int, *, images: bool = True, center: float = 0.0, time_s: float = 0.0) -> Observation:
    rng = np.random.default_rng(seed)
    pictures = {c.name: rng.integers(0, 256, c.shape, dtype=np.uint8) for c in ARM.cameras} if images else {}
    return Observation(center + rng.uniform(-2.0, 2.0, ARM.state_size), pictures, time_s, seed)


def history(seed: int, length: int = 2) -> list[Observation]:
    return [observation(100 * seed + i, time_s=0.1 * i) for i in range(length)]


def training_batch(made: AnyPolicy, size: int = 6, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch as the window sampler gives it, as tensors."""
    rng = np.random.default_rng(seed)
    n_obs = made.n_obs_steps
    batch = {
        "observation.state": rng.uniform(-2, 2, (size, n_obs, ARM.state_size)).astype(np.float32),
        "action": rng.uniform(-1, 1, (size, made.horizon, ARM.action_size)).astype(np.float32),
        "action_is_pad": np.zeros((size, made.horizon), dtype=bool),
        "observation_is_pad": np.zeros((size, n_obs), dtype=bool),
        "task_index": np.arange(size) % max(1, len(made.tasks)),
        "source": np.arange(size) % len(made.normalizers.sources),
        "index": np.arange(size),
    }
    for camera in ARM.cameras:
        batch[f"observation.images.{camera.name}"] = rng.integers(0, 256, (size, n_obs, *camera.shape), dtype=np.uint8)
    return {name: torch.from_numpy(value) for name, value in batch.items()}
