"""The action side that all policies share: normalised targets from a training batch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from robot_stack.core.errors import ShapeError
from robot_stack.policies.normalizer_table import NormalizerTable
from robot_stack.policies.normalizers import PolicyNormalizers

ACTION = "action"
"""Batch entry ``(B, horizon, A)``: the actions to learn, in physical units."""

ACTION_IS_PAD = "action_is_pad"
"""Batch entry bool ``(B, horizon)``: true beyond the ends of the episode."""


def action_table(normalizers: PolicyNormalizers, action_size: int, horizon: int) -> NormalizerTable:
    """The action normalisers on the device.

    Raises:
        ShapeError: if they fit neither an action nor a chunk.
    """
    size = normalizers.sources[0].action.size
    if size not in (action_size, horizon * action_size):
        raise ShapeError(
            "the action normaliser does not fit the policy",
            got=f"{size} numbers",
            expected=f"{action_size} (an action) or {horizon * action_size} (a chunk of {horizon})",
            remedy="fit the normalisers with this embodiment's actions and this horizon",
        )
    return NormalizerTable([source.action for source in normalizers.sources], action_size)


def target_actions(table: NormalizerTable, batch: Mapping[str, Tensor], horizon: int) -> Tensor:
    """The normalised actions ``(B, horizon, A)`` of a training batch.

    Raises:
        ShapeError: if they are missing or of another shape.
    """
    actions = batch.get(ACTION)
    if actions is None or actions.shape[1:] != (horizon, table.size):
        raise ShapeError(
            "the actions of a batch are missing or have the wrong shape",
            got=f"entries {sorted(batch)}" if actions is None else tuple(actions.shape),
            expected=f"(B, {horizon}, {table.size})",
        )
    return table.normalize(actions, batch)


def valid_steps(batch: Mapping[str, Tensor], mask_padding: bool) -> Tensor | None:
    """Which steps count in the loss, bool ``(B, horizon)``; ``None`` for all.

    Raises:
        ShapeError: if padding is to be masked and the batch does not say where it is.
    """
    if not mask_padding:
        return None
    if ACTION_IS_PAD not in batch:
        raise ShapeError(
            "a batch does not say which actions are padding",
            got=sorted(batch),
            expected=f"an entry {ACTION_IS_PAD!r} of shape (B, horizon)",
            remedy="add it, or set mask_padding to false",
        )
    return ~batch[ACTION_IS_PAD]
