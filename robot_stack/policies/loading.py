"""From plain data and files to policies: the one place where the kind in a file becomes a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import BundleError, RobotStackError
from robot_stack.policies.behavior_cloning import BehaviorCloningPolicy
from robot_stack.policies.bundle import bundle_info
from robot_stack.policies.config import (
    BehaviorCloningConfig,
    DiffusionPolicyConfig,
    PolicyConfig,
    TextVectorConfig,
)
from robot_stack.policies.deployment import require_deployable
from robot_stack.policies.diffusion import DiffusionPolicy
from robot_stack.policies.golden import check_golden
from robot_stack.policies.manifest import damaged, read_json
from robot_stack.policies.normalizers import PolicyNormalizers

AnyPolicy: TypeAlias = DiffusionPolicy | BehaviorCloningPolicy

KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "diffusion": (DiffusionPolicyConfig, DiffusionPolicy),
    "behavior_cloning": (BehaviorCloningConfig, BehaviorCloningPolicy),
}
"""Configuration and class of every kind of policy."""

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedBundle:
    """A policy ready to act, and what its bundle says about it."""

    policy: AnyPolicy
    """In evaluation mode, on the device asked for."""

    info: dict[str, Any]
    """See :func:`robot_stack.policies.bundle.bundle_info`."""

    @property
    def name(self) -> str:
        """For records: ``policy <first 12 digits of the hash>``."""
        return f"policy {self.info['policy_sha256'][:12]}"


def load_bundle(
    path: str | Path,
    *,
    robot_embodiment: Embodiment | None = None,
    device: torch.device | str = "cpu",
    another_model: bool = False,
    golden: bool = True,
) -> LoadedBundle:
    """Load a policy bundle, checked file by file and by its golden example.

    Args:
        path: the bundle.
        robot_embodiment: of the robot it is to drive; ``None`` if there is none (inspection).
        device: where it is to run. The golden example is checked on the CPU, in float32, before it goes there.
        another_model: accept a robot with another model hash, see
            :func:`robot_stack.policies.deployment.require_deployable`.
        golden: check the golden example.

    Raises:
        BundleError: if a file is missing, cut short or altered, or the golden actions are not reproduced.
        EmbodimentMismatchError: if the robot is not the one the policy was trained for.
    """
    folder = Path(path)
    info = bundle_info(folder)
    policy = read_policy(folder)
    if robot_embodiment is not None:
        cameras = policy.config.inputs.cameras
        require_deployable(policy.embodiment, robot_embodiment, cameras=cameras, another_model=another_model)
    if golden:
        check_golden(folder / "golden.safetensors", policy)
    return LoadedBundle(policy.to(device), info)


def read_policy(folder: Path) -> AnyPolicy:
    """The policy in the files of a bundle, on the CPU, in evaluation mode; the manifest is not looked at.

    Raises:
        BundleError: if a file is damaged or the files do not fit together.
    """
    file = folder / "config.json"
    stored = read_json(file)
    config = decode_config(stored.get("policy"), file)
    tasks = tuple(_decode(list[str], stored.get("tasks"), file))
    normalizers = _decode(PolicyNormalizers, read_json(folder / "normalizer.json"), folder / "normalizer.json")
    embodiment = _read_embodiment(folder / "embodiment.json")
    vectors = None
    if isinstance(config.language, TextVectorConfig):
        vectors = np.zeros((len(tasks), config.language.text_size))
    try:
        policy = make_policy(config, embodiment, normalizers, tasks, vectors, seed=0)
    except RobotStackError as error:
        raise damaged(file, str(error), "a policy for the embodiment and normaliser beside it") from error
    weights = folder / "weights.safetensors"
    try:
        policy.load_state_dict(load_file(weights))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise damaged(weights, str(error), "the weights of the policy in config.json") from error
    return policy.eval().requires_grad_(False)


def make_policy(
    config: PolicyConfig,
    embodiment: Embodiment,
    normalizers: PolicyNormalizers,
    tasks: Sequence[str] = (),
    task_vectors: np.ndarray | None = None,
    *,
    seed: int,
) -> AnyPolicy:
    """A policy with fresh weights, in training mode on the CPU.

    Args:
        config: decides the kind.
        embodiment: the robot.
        normalizers: fitted to the training data.
        tasks: instructions of the training tasks, by ``task_index``.
        task_vectors: of the text encoder for ``tasks``, with text vectors only.
        seed: of the weights; torch's own generator is left as it was.

    Raises:
        UnknownNameError: if the embodiment lacks a state field or camera that the configuration names.
        ShapeError: if the normalisers do not fit the embodiment.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return KINDS[config.kind][1](config, embodiment, normalizers, tasks, task_vectors)


def decode_config(value: Any, where: str | Path) -> PolicyConfig:
    """The configuration of a policy from plain data.

    Raises:
        BundleError: if the kind is unknown, or a key or value does not belong.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise BundleError(
            "there is no such kind of policy",
            where=where,
            got=repr(kind),
            expected=f"one of: {', '.join(KINDS)}",
            remedy="load it with the version of robot_stack that wrote it",
        )
    return _decode(KINDS[kind][0], value, Path(where))


def _read_embodiment(file: Path) -> Embodiment:
    stored = read_json(file)
    embodiment = _decode(Embodiment, stored.get("embodiment"), file)
    if embodiment.fingerprint() != stored.get("fingerprint"):
        raise damaged(
            file, f"an embodiment with fingerprint {embodiment.fingerprint()}", str(stored.get("fingerprint"))
        )
    return embodiment


def _decode(kind: type[T], value: Any, file: Path) -> T:
    try:
        return from_plain(kind, value)
    except RobotStackError as error:
        raise damaged(file, str(error), "what this version of robot_stack writes") from error
