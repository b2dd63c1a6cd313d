"""Normalisers as tensors on the device: each row of a batch is normalised with the parameters of its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.core.errors import ShapeError
from robot_stack.core.normalizer import Normalizer

SOURCE = "source"
"""Batch entry int64 ``(B,)``: which dataset of a mixture a row comes from."""


class NormalizerTable(nn.Module):
    """The normalisers of all sources for one kind of vector, float32.

    The parameters are buffers, and so part of checkpoints; loading a state with other ones is an error, since the
    weights were learned with them.

    Args:
        normalizers: one per source, or one for all.
        size: numbers per step. Normalisers of a whole chunk hold a multiple of it.
    """

    offset: Tensor
    scale: Tensor
    clip: Tensor

    def __init__(self, normalizers: Sequence[Normalizer], size: int) -> None:
        super().__init__()
        self.count, self.size = len(normalizers), size
        shape = (len(normalizers), -1, size)
        offset, scale = np.array([n.offset for n in normalizers]), np.array([n.scale for n in normalizers])
        clip = np.array([np.inf if n.clip is None else n.clip for n in normalizers])
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32).reshape(shape))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32).reshape(shape))
        self.register_buffer("clip", torch.tensor(clip, dtype=torch.float32).reshape(len(normalizers), 1, 1))
        self.clips = bool(np.isfinite(clip).any())

    def normalize(self, physical: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Physical units ``(B, T, size)`` to network units, by the sources that ``batch`` tells."""
        out = (physical.to(torch.float32) - self._rows(self.offset, batch)) / self._rows(self.scale, batch)
        if not self.clips:
            return out
        bound = self._rows(self.clip, batch)
        return torch.minimum(torch.maximum(out, -bound), bound)

    def denormalize(self, normalized: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Network units ``(B, T, size)`` to physical units."""
        return torch.addcmul(self._rows(self.offset, batch), normalized.float(), self._rows(self.scale, batch))

    def _rows(self, table: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        if self.count == 1:
            return table
        if SOURCE not in batch:
            raise ShapeError(
                "a batch does not say which dataset its rows come from, and the policy has a normaliser for each",
                got=sorted(batch),
                expected=f"an entry {SOURCE!r} of shape (B,)",
            )
        return table[batch[SOURCE]]

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: dict[str, object],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for name, own in (("offset", self.offset), ("scale", self.scale), ("clip", self.clip)):
            other = state_dict.get(prefix + name)
            if other is not None and not torch.equal(other.to(own.device), own):
                error_msgs.append(f"the normaliser {prefix + name} is not the one these weights were trained with")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
