"""From a policy to a bundle on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from robot_stack.core import provenance as origin
from robot_stack.core.config_json import to_plain
from robot_stack.core.errors import ConfigError
from robot_stack.policies.bundle import bundle_hash, new_bundle, write_json
from robot_stack.policies.card import model_card
from robot_stack.policies.golden import made_up_batch, observation_part, write_golden
from robot_stack.policies.loading import read_policy
from robot_stack.policies.manifest import SCHEMA_VERSION
from robot_stack.policies.policy import Policy


def save_bundle(
    policy: Policy,
    path: str | Path,
    *,
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    example: Mapping[str, Tensor] | None = None,
    overwrite: bool = False,
) -> str:
    """Write a policy bundle; it is there whole or not at all.

    Args:
        policy: with the weights to deploy (the averaged ones), on any device.
        path: of the bundle, a folder that is not there yet.
        provenance: plain data on where it came from: datasets with their hashes, seeds, run. Code revision, library
            versions and time are added.
        metrics: plain data on how well it did.
        example: a training batch whose first rows become the golden observations; made up when not given.
        overwrite: replace a bundle that is there.

    Returns:
        The bundle's hash, see :func:`robot_stack.policies.bundle.bundle_hash`.

    Raises:
        BundleError: if something else is at ``path``.
        StorageError: if the file system refuses.
    """
    if not isinstance(policy, nn.Module):
        raise ConfigError("a bundle holds policies that are torch modules", got=type(policy).__name__)
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in policy.state_dict().items()}
    history = to_plain({**provenance, "exported_with": origin.collect()})
    measured = to_plain(metrics or {})
    embodiment = policy.embodiment
    with new_bundle(path, overwrite=overwrite) as folder:
        config = {"schema_version": SCHEMA_VERSION, "policy": to_plain(policy.config), "tasks": list(policy.tasks)}
        write_json(folder / "config.json", config)
        save_file(weights, folder / "weights.safetensors")
        write_json(folder / "normalizer.json", to_plain(policy.normalizers))
        write_json(
            folder / "embodiment.json", {"fingerprint": embodiment.fingerprint(), "embodiment": to_plain(embodiment)}
        )
        write_json(folder / "provenance.json", history)
        write_json(folder / "metrics.json", measured)
        card = model_card(
            policy.config,
            embodiment,
            tasks=policy.tasks,
            parameters=sum(p.numel() for p in policy.parameters()),
            provenance=history,
            metrics=measured,
        )
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        reread = read_policy(folder)
        batch = (
            made_up_batch(reread, torch.Generator().manual_seed(0))
            if example is None
            else observation_part(reread, example)
        )
        write_golden(folder / "golden.safetensors", reread, batch)
    return bundle_hash(path)
