"""Named policies to start from; every value can be changed on the command line."""

from __future__ import annotations

from robot_stack.policies.config import (
    BehaviorCloningConfig,
    DiffusionPolicyConfig,
    InputConfig,
    NormalizationConfig,
    PolicyConfig,
    TaskEmbeddingConfig,
)
from robot_stack.policies.network_config import MlpDenoiserConfig, TransformerConfig, UnetConfig
from robot_stack.policies.process_config import DdpmSamplerConfig, DiffusionProcessConfig, FlowProcessConfig
from robot_stack.policies.vision_config import VisionConfig

SMALL_UNET = UnetConfig(down_dims=(32, 64), time_embed_dim=64)
SMALL_VISION = VisionConfig(crop=(56, 56), channels=(16, 32, 64, 128), keypoints=16, feature_dim=32)

PRESETS: dict[str, tuple[str, PolicyConfig]] = {
    "flow-small": (
        "flow matching, a U-Net of 0.35 M parameters: a minute or two on a CPU (what the demo trains)",
        DiffusionPolicyConfig(network=SMALL_UNET, process=FlowProcessConfig(steps=8)),
    ),
    "flow-mlp": (
        "flow matching with a residual MLP: the quickest on a CPU and, on states, the best of the small ones",
        DiffusionPolicyConfig(network=MlpDenoiserConfig(skip=True), process=FlowProcessConfig(steps=8)),
    ),
    "flow": (
        "flow matching with the U-Net of Diffusion Policy, 66 M parameters: for a GPU",
        DiffusionPolicyConfig(process=FlowProcessConfig()),
    ),
    "diffusion": (
        "Diffusion Policy as published for states: U-Net, DDPM with 100 levels, DDIM with 10 steps",
        DiffusionPolicyConfig(),
    ),
    "diffusion-ddpm": (
        "the same, sampled with all 100 DDPM steps",
        DiffusionPolicyConfig(process=DiffusionProcessConfig(sampler=DdpmSamplerConfig())),
    ),
    "diffusion-small": (
        "DDIM with the small U-Net",
        DiffusionPolicyConfig(network=SMALL_UNET),
    ),
    "transformer": (
        "a diffusion transformer with adaLN, 8 blocks of width 768, quantile normalisation (Large Behavior Models)",
        DiffusionPolicyConfig(
            network=TransformerConfig(),
            process=DiffusionProcessConfig(clip=1.5),
            normalization=NormalizationConfig("quantile", "quantile"),
        ),
    ),
    "transformer-small": (
        "flow matching with a transformer of 4 blocks of width 128",
        DiffusionPolicyConfig(network=TransformerConfig(width=128, depth=4, heads=4), process=FlowProcessConfig()),
    ),
    "multitask": (
        "a flow-matching transformer for many tasks, told apart by their instructions",
        DiffusionPolicyConfig(
            network=TransformerConfig(width=384, depth=6, heads=6),
            process=FlowProcessConfig(),
            language=TaskEmbeddingConfig(),
        ),
    ),
    "image": (
        "Diffusion Policy from camera images: ResNet-18 with spatial softmax, random crops; name the cameras",
        DiffusionPolicyConfig(
            inputs=InputConfig(state=("hand_position", "gripper_opening"), cameras=("corner2",)),
            vision=VisionConfig(crop=(84, 84)),
        ),
    ),
    "image-small": (
        "the same with small networks and flow matching, for 64x64 images on a CPU",
        DiffusionPolicyConfig(
            inputs=InputConfig(state=("hand_position", "gripper_opening"), cameras=("corner2",)),
            network=SMALL_UNET,
            process=FlowProcessConfig(steps=8),
            vision=SMALL_VISION,
        ),
    ),
    "bc-mlp": (
        "plain behaviour cloning with an MLP that predicts a chunk: the baseline to beat",
        BehaviorCloningConfig(),
    ),
}
"""By name: what it is, and its configuration."""


def preset(name: str) -> PolicyConfig:
    """The configuration called ``name``.

    Raises:
        UnknownNameError: if there is none; the nearest names are listed.
    """
    from robot_stack.core.errors import require_name

    return PRESETS[require_name("policy preset", name, PRESETS)][1]
