"""How a policy does on held-out episodes: its loss, and how far its actions are from the demonstrated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robot_stack.algorithms.algorithm import step_seed
from robot_stack.algorithms.imitation import Imitation

_STREAM = 1_000_003


def validate_imitation(
    algorithm: Imitation[Any], batches: Callable[[], Iterator[Mapping[str, np.ndarray]]], seed: int
) -> dict[str, float]:
    """Measure the policy that would be deployed; equal seeds draw equal noise at every step of the training.

    Args:
        algorithm: whose policy.
        batches: gives the held-out batches anew.
        seed: of the noise.

    Returns:
        ``"loss"``, and ``"action_error"``: root mean square error of the actions that would be executed over their
        spread, so that 0 is perfect and 1 as good as always doing the mean; empty without batches.
    """
    policy = algorithm.policy()
    executed = slice(policy.n_obs_steps - 1, policy.n_obs_steps - 1 + policy.n_action_steps)
    noise = torch.Generator(algorithm.device).manual_seed(step_seed(seed, _STREAM))
    losses, counts, wanted, given = [], [], [], []
    was_training = policy.training
    policy.eval()
    for number, arrays in enumerate(batches()):
        batch = {name: torch.from_numpy(values).to(algorithm.device) for name, values in arrays.items()}
        losses.append(algorithm.evaluate(batch, step_seed(seed, _STREAM, number))["loss"])
        counts.append(len(batch["action"]))
        actions = policy.sample(batch, generator=noise)
        valid = ~batch["action_is_pad"][:, executed]
        wanted.append(batch["action"][:, executed][valid])
        given.append(actions[:, executed][valid])
    policy.train(was_training)
    if not losses:
        return {}
    weights = torch.tensor(counts, dtype=torch.float32, device=algorithm.device)
    loss = (torch.stack(losses).float() * weights).sum() / weights.sum()
    return {"loss": loss.item(), "action_error": relative_error(torch.cat(wanted), torch.cat(given))}


def relative_error(wanted: Tensor, given: Tensor) -> float:
    """Root mean square over the actions of (error / standard deviation of the wanted), those that never vary left out.

    Args:
        wanted: shape ``(rows, A)``.
        given: shape ``(rows, A)``.
    """
    variance = wanted.double().var(dim=0, unbiased=False)
    error = (given.double() - wanted.double()).square().mean(dim=0)
    varies = variance > 1e-12
    return float((error[varies] / variance[varies]).mean().sqrt()) if bool(varies.any()) else float(error.mean().sqrt())
