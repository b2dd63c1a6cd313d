"""What a policy is made of, as plain data: printed into run folders and policy bundles, read back without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from robot_stack.core.errors import ConfigError
from robot_stack.core.normalizer_kind import NormalizerKind
from robot_stack.policies.network_config import ChunkMlpConfig, DenoiserConfig, UnetConfig
from robot_stack.policies.process_config import DiffusionProcessConfig, ProcessConfig
from robot_stack.policies.vision_config import VisionConfig


@dataclass(frozen=True)
class InputConfig:
    """What a policy looks at."""

    state: tuple[str, ...] | None = None
    """Names of the state fields, in the order the network gets them; ``None`` for all, ``()`` for none."""

    cameras: tuple[str, ...] = ()
    """Names of the cameras, in order; ``()`` for a policy without images."""

    n_obs_steps: int = 2
    """How many of the last observations it sees."""

    image_size: tuple[int, int] | None = None
    """Images are resized to (height, width) [pixel] first; ``None`` leaves them."""

    def __post_init__(self) -> None:
        if self.n_obs_steps < 1:
            raise ConfigError("a policy needs at least one observation", got=self.n_obs_steps)
        for kind, names in (("state field", self.state or ()), ("camera", self.cameras)):
            if len(set(names)) != len(names):
                raise ConfigError(f"a {kind} is listed twice among a policy's inputs", got=names)
        if self.state == () and not self.cameras:
            raise ConfigError("a policy needs at least one state field or camera")


@dataclass(frozen=True)
class NormalizationConfig:
    """How numbers are brought to the scale of the network; see :mod:`robot_stack.core.normalizer`."""

    state: NormalizerKind = "min_max"
    """Of the state vector."""

    action: NormalizerKind = "min_max"
    """Of the actions."""

    quantiles: tuple[float, float] = (0.02, 0.98)
    """For ``"quantile"``: what maps to -1 and 1."""

    per_source: bool = False
    """Fit one normaliser for each dataset of a mixture instead of one for all."""

    action_per_step: bool = False
    """Fit one normaliser for each step of the action chunk, as the Large Behavior Models study does (2025)."""

    state_clip: float | None = 1.5
    """For states by ``"min_max"``: what lies beyond the data is seen at most so far out. Numbers that hardly change in
    the data, as the tilt of a tray that nobody tilts, would else reach a network tens of ranges away as soon as
    something slips, and what it answers there is without bound. ``None`` for no bound."""


@dataclass(frozen=True)
class TaskEmbeddingConfig:
    """Tells the tasks of a multi-task policy apart by one learned vector each: knows the training tasks only."""

    kind: Literal["task_embedding"] = field(default="task_embedding", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    size: int = 64
    """Numbers per task."""


@dataclass(frozen=True)
class TextVectorConfig:
    """Gives the policy a vector of the instruction from a frozen text encoder, through a learned projection."""

    kind: Literal["text_vector"] = field(default="text_vector", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    text_size: int = 512
    """Numbers that the text encoder gives for an instruction."""

    size: int = 64
    """Numbers after the projection."""


LanguageConfig: TypeAlias = TaskEmbeddingConfig | TextVectorConfig


@dataclass(frozen=True)
class DiffusionPolicyConfig:
    """A policy that turns noise into a chunk of actions (Chi et al., 2023, arXiv 2303.04137). Defaults are theirs."""

    kind: Literal["diffusion"] = field(default="diffusion", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    inputs: InputConfig = InputConfig()
    """What it looks at."""

    horizon: int = 16
    """Steps of a chunk; the first belongs to the oldest observation."""

    n_action_steps: int = 8
    """Steps executed before it decides again; the first is step ``n_obs_steps - 1`` of the chunk."""

    network: DenoiserConfig = UnetConfig()
    """What removes the noise."""

    process: ProcessConfig = DiffusionProcessConfig()
    """How noise is added in training and removed in sampling."""

    normalization: NormalizationConfig = NormalizationConfig()
    """Of states and actions."""

    vision: VisionConfig = VisionConfig()
    """Of images; unused without cameras."""

    language: LanguageConfig | None = None
    """How it is told the task; ``None`` for a single-task policy."""

    mask_padding: bool = False
    """Leave steps beyond the end of the episode out of the loss. Diffusion Policy trains on them: it learns to stop."""

    def __post_init__(self) -> None:
        _check_steps(self.inputs.n_obs_steps, self.horizon, self.n_action_steps)
        self.network.check_horizon(self.horizon)
        _check_clip(self.normalization.action, self.process)


@dataclass(frozen=True)
class BehaviorCloningConfig:
    """A policy that answers with one chunk of actions by regression: the baseline every other one has to beat."""

    kind: Literal["behavior_cloning"] = field(default="behavior_cloning", kw_only=True)
    """Fixed; tells the alternatives apart in JSON."""

    inputs: InputConfig = InputConfig(n_obs_steps=1)
    """What it looks at."""

    horizon: int = 8
    """Steps of a chunk; the first belongs to the oldest observation."""

    n_action_steps: int = 8
    """Steps executed before it decides again; the first is step ``n_obs_steps - 1`` of the chunk."""

    network: ChunkMlpConfig = ChunkMlpConfig()
    """From observations to the chunk."""

    loss: Literal["mse", "l1"] = "mse"
    """What is minimised, in normalised actions."""

    normalization: NormalizationConfig = NormalizationConfig(state="mean_std")
    """Of states and actions."""

    vision: VisionConfig = VisionConfig()
    """Of images; unused without cameras."""

    language: LanguageConfig | None = None
    """How it is told the task; ``None`` for a single-task policy."""

    mask_padding: bool = True
    """Leave steps beyond the end of the episode out of the loss."""

    def __post_init__(self) -> None:
        _check_steps(self.inputs.n_obs_steps, self.horizon, self.n_action_steps)


PolicyConfig: TypeAlias = DiffusionPolicyConfig | BehaviorCloningConfig


def _check_steps(n_obs: int, horizon: int, n_action_steps: int) -> None:
    if n_action_steps < 1 or n_obs - 1 + n_action_steps > horizon:
        raise ConfigError(
            "the executed actions do not fit the horizon",
            got=f"n_obs_steps={n_obs}, n_action_steps={n_action_steps}, horizon={horizon}",
            expected="1 <= n_action_steps <= horizon - n_obs_steps + 1",
        )


def _check_clip(action: NormalizerKind, process: ProcessConfig) -> None:
    clip = process.clip if isinstance(process, DiffusionProcessConfig) else None
    reach = {"min_max": 1.0, "quantile": 1.5, "mean_std": 5.0, "identity": 0.0}[action]
    if clip is not None and clip < reach:
        raise ConfigError(
            "the sampler would clip actions that occur in the data",
            got=f"process.clip={clip:g} with {action!r} normalisation of actions",
            expected=f"at least {reach:g}, or None",
            remedy=f"set process.clip to {reach:g} or None, or normalise actions by 'min_max'",
        )
