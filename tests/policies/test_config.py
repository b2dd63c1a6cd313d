"""Configurations are plain data with a JSON round trip, checked when they are made, and known without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import BundleError, ConfigError
from robot_stack.core.normalizer import NormalizerKind
from robot_stack.models.diffusion import DiffusionConfig
from robot_stack.models.flow_matching import FlowConfig
from robot_stack.models.image_transform import ColorJitterConfig
from robot_stack.models.mlp import MlpConfig
from robot_stack.models.mlp_denoiser import MlpDenoiserConfig as MlpDenoiserSizes
from robot_stack.models.transformer1d import Transformer1dConfig
from robot_stack.models.unet1d import Unet1dConfig
from robot_stack.policies.config import (
    BehaviorCloningConfig,
    DiffusionPolicyConfig,
    InputConfig,
    NormalizationConfig,
    TaskEmbeddingConfig,
    TextVectorConfig,
)
from robot_stack.policies.inference_config import DriverConfig, EnsembleConfig, WarmStartConfig
from robot_stack.policies.loading import decode_config
from robot_stack.policies.network_config import ChunkMlpConfig, MlpDenoiserConfig, TransformerConfig, UnetConfig
from robot_stack.policies.networks import sizes
from robot_stack.policies.process_config import (
    DdimSamplerConfig,
    DdpmSamplerConfig,
    DiffusionProcessConfig,
    FlowProcessConfig,
)
from robot_stack.policies.vision_config import JitterConfig, VisionConfig

CONFIGS = [
    DiffusionPolicyConfig(),
    BehaviorCloningConfig(),
    DiffusionPolicyConfig(
        inputs=InputConfig(("hand",), ("front", "wrist"), 3, (96, 128)),
        horizon=12,
        n_action_steps=5,
        network=TransformerConfig(width=64, heads=4),
        process=FlowProcessConfig(method="heun", steps=3, time_power=1.5),
        normalization=NormalizationConfig("mean_std", "quantile", (0.01, 0.99), True, True),
        vision=VisionConfig(crop=(76, 76), jitter=JitterConfig(hue=(-0.1, 0.1)), shared=True),
        language=TextVectorConfig(text_size=32),
        mask_padding=True,
    ),
    DiffusionPolicyConfig(
        network=MlpDenoiserConfig(dropout=0.1),
        process=DiffusionProcessConfig(clip=None, prediction="sample", sampler=DdpmSamplerConfig(50)),
        language=TaskEmbeddingConfig(7),
    ),
    BehaviorCloningConfig(network=ChunkMlpConfig((8,)), loss="l1", language=TaskEmbeddingConfig()),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.horizon}")
def test_json_round_trip(config) -> None:
    text = json.dumps(to_plain(config), allow_nan=False)
    assert from_plain(type(config), json.loads(text)) == config
    assert decode_config(json.loads(text), "here") == config


def test_driver_config_round_trip() -> None:
    for config in (
        DriverConfig(),
        DriverConfig(None, EnsembleConfig(0.1)),
        DriverConfig(3, None, WarmStartConfig(2), "a"),
    ):
        assert from_plain(DriverConfig, json.loads(json.dumps(to_plain(config)))) == config


def test_a_key_of_another_version_is_refused_by_name() -> None:
    plain = to_plain(DiffusionPolicyConfig())
    plain["inputs"]["n_obs_step"] = 2
    with pytest.raises(BundleError, match=r"n_obs_step(.|\n)*did you mean 'n_obs_steps'"):
        decode_config(plain, "config.json")
    with pytest.raises(BundleError, match=r"'telepathy'(.|\n)*diffusion, behavior_cloning"):
        decode_config({"kind": "telepathy"}, "config.json")


def test_no_torch_is_imported() -> None:
    code = (
        "import sys\n"
        "import robot_stack.policies.config, robot_stack.policies.inference_config\n"
        "import robot_stack.policies.bundle, robot_stack.policies.deployment, robot_stack.policies.card\n"
        "import robot_stack.policies.normalizers, robot_stack.policies.observation_batch\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (UnetConfig(), Unet1dConfig()),
        (TransformerConfig(), Transformer1dConfig()),
        (MlpDenoiserConfig(), MlpDenoiserSizes()),
        (ChunkMlpConfig(), MlpConfig()),
        (JitterConfig(), ColorJitterConfig()),
    ],
)
def test_network_configs_have_the_networks_fields_and_defaults(ours, theirs) -> None:
    assert sizes(ours) == {f.name: getattr(theirs, f.name) for f in fields(theirs)}


@pytest.mark.parametrize(
    ("ours", "theirs"), [(DiffusionProcessConfig(), DiffusionConfig()), (FlowProcessConfig(), FlowConfig())]
)
def test_processes_have_the_same_fields_and_defaults(ours, theirs) -> None:
    for field in fields(theirs):
        assert getattr(ours, field.name) == getattr(theirs, field.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InputConfig(n_obs_steps=0), "at least one observation"),
        (lambda: InputConfig(state=()), "at least one state field or camera"),
        (lambda: InputConfig(cameras=("a", "a")), "twice"),
        (lambda: DiffusionPolicyConfig(n_action_steps=16), "do not fit the horizon"),
        (lambda: DiffusionPolicyConfig(horizon=18), "a multiple of 4"),
        (lambda: DiffusionProcessConfig(sampler=DdimSamplerConfig(101)), "more steps than there are noise levels"),
        (lambda: DiffusionPolicyConfig(normalization=NormalizationConfig(action="quantile")), "would clip actions"),
        (lambda: DiffusionPolicyConfig(normalization=NormalizationConfig(action="mean_std")), "would clip actions"),
        (lambda: FlowProcessConfig(steps=0), "at least one integration step"),
        (lambda: DriverConfig(4, EnsembleConfig()), "decides at every step"),
        (lambda: WarmStartConfig(-1), "negative"),
    ],
)
def test_what_cannot_work_is_refused(make, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_normalisation_and_clipping_that_fit_are_accepted() -> None:
    fitting: list[tuple[NormalizerKind, float | None]] = [("quantile", 1.5), ("mean_std", None), ("min_max", 1.0)]
    for kind, clip in fitting:
        process = DiffusionProcessConfig(clip=clip)
        config = DiffusionPolicyConfig(process=process, normalization=NormalizationConfig(action=kind))
        assert replace(config, n_action_steps=1).process == process
