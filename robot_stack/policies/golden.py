"""A policy's golden example: observations, noise, and the actions they must give wherever the policy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from robot_stack.core.errors import BundleError, ShapeError
from robot_stack.models.random_draws import draw_integers, draw_normal_like, draw_uniform
from robot_stack.policies.language import INSTRUCTION, TASK
from robot_stack.policies.manifest import REMEDY, damaged
from robot_stack.policies.normalizer_table import SOURCE
from robot_stack.policies.observation_batch import IMAGE, STATE
from robot_stack.policies.policy import Policy

TOLERANCE = 1e-4
"""Largest difference of a golden action, in units of the action normaliser."""

ROWS = 2
_BATCH, _NOISE, _ACTIONS = "batch/", "noise", "actions"


def made_up_batch(policy: Policy, generator: torch.Generator, rows: int = ROWS) -> dict[str, Tensor]:
    """Observations within the range of the normalisers, with images of pure noise.

    Args:
        policy: whose inputs to make up.
        generator: on the CPU.
        rows: batch size.
    """
    inputs, embodiment, sources = policy.config.inputs, policy.embodiment, policy.normalizers.sources
    source = torch.arange(rows) % len(sources)
    lead = (rows, inputs.n_obs_steps)
    unit = 2 * draw_uniform((*lead, embodiment.state_size), generator) - 1
    state = np.stack([sources[int(s)].state.denormalize(unit[i].numpy()) for i, s in enumerate(source)])
    batch = {STATE: torch.from_numpy(state.astype(np.float32)), SOURCE: source}
    for name in inputs.cameras:
        shape = (*lead, *embodiment.camera(name).shape)
        batch[IMAGE + name] = draw_integers(256, shape, generator).to(torch.uint8)
    if policy.config.language is not None:
        batch[TASK] = torch.arange(rows) % len(policy.tasks)
    return batch


def observation_part(policy: Policy, batch: Mapping[str, Tensor], rows: int = ROWS) -> dict[str, Tensor]:
    """The first rows of the entries of a training batch that the policy decides on, on the CPU.

    Raises:
        ShapeError: if an entry is missing.
    """
    names = [IMAGE + name for name in policy.config.inputs.cameras]
    if policy.config.inputs.state != () and policy.embodiment.state_size:
        names.append(STATE)
    if policy.config.language is not None:
        names.append(INSTRUCTION if INSTRUCTION in batch else TASK)
    if len(policy.normalizers.sources) > 1:
        names.append(SOURCE)
    missing = [name for name in names if name not in batch]
    if missing:
        raise ShapeError("the example for a bundle lacks entries", got=sorted(batch), expected=missing)
    return {name: batch[name][:rows].detach().cpu().clone() for name in names}


def write_golden(path: Path, policy: Policy, batch: Mapping[str, Tensor]) -> None:
    """Write a golden example of a policy on the CPU, in evaluation mode."""
    rows = len(next(iter(batch.values())))
    like = torch.empty(rows, policy.horizon, policy.embodiment.action_size)
    noise = draw_normal_like(like, _generator())
    tensors = {_BATCH + name: value.contiguous() for name, value in batch.items()}
    actions = policy.sample(batch, noise=noise, generator=_generator()).contiguous()
    save_file({**tensors, _NOISE: noise, _ACTIONS: actions}, path)


def check_golden(path: Path, policy: Policy) -> float:
    """Check that a policy on the CPU, in evaluation mode, reproduces its golden actions.

    Returns:
        The largest difference, in units of the action normaliser.

    Raises:
        BundleError: if it is above :data:`TOLERANCE`.
    """
    try:
        tensors = load_file(path)
        noise, wanted = tensors.pop(_NOISE), tensors.pop(_ACTIONS)
    except (SafetensorError, OSError, KeyError) as error:
        raise damaged(path, str(error), "a golden example") from error
    batch = {name.removeprefix(_BATCH): value for name, value in tensors.items()}
    got = policy.sample(batch, noise=noise, generator=_generator())
    worst = float(((got - wanted) / _scales(policy, batch, len(wanted))).abs().max())
    if not worst <= TOLERANCE:
        raise BundleError(
            "the policy does not reproduce its golden actions: here it would act otherwise than when it was exported",
            where=path,
            got=f"actions that differ by up to {worst:.3g} (normalised)",
            expected=f"at most {TOLERANCE:g}",
            remedy=f"{REMEDY}; if the bundle is whole, this version of robot_stack or torch computes something else "
            "than the one in provenance.json",
        )
    return worst


def _scales(policy: Policy, batch: Mapping[str, Tensor], rows: int) -> Tensor:
    sources = policy.normalizers.sources
    numbers = batch[SOURCE].tolist() if len(sources) > 1 else [0] * rows
    scales = [np.reshape(sources[n].action.scale, (-1, policy.embodiment.action_size)) for n in numbers]
    return torch.from_numpy(np.stack(scales)).float()


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
