"""1-D convolutions over short chunks that stay fast on a CPU. Same parameters and results as torch's.

On a CPU torch's convolutions (oneDNN) reorder their weights on every call. With the chunks of a policy (16 steps or
fewer) that costs more than the arithmetic in two cases: few rows (one robot asking for one chunk), and large weights
(above all in the backward pass). There the same sums are written as one matrix product, which reads the weights as
they lie: 2 to 7 times faster for the wide layers of Diffusion Policy's U-Net. Elsewhere, and on other devices, the
convolutions are torch's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = 32
"""Rows (batch x output steps) up to which a product beats the convolution, if the layer is not tiny."""
TINY_WEIGHT = 2**15
"""Weights below this size are reordered in no time."""
LARGE_WEIGHT = 2**21
"""Weights from this size on are better multiplied whatever the batch."""


class Conv1d(nn.Conv1d):
    """``torch.nn.Conv1d`` (one group, no dilation, zero padding): (B, C_in, T) -> (B, C_out, T_out)."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, C_in, T)."""
        padding, stride, width = int(self.padding[0]), self.stride[0], self.kernel_size[0]
        steps = (input.shape[2] + 2 * padding - width) // stride + 1
        if not product_is_faster(input, self.weight, input.shape[0] * steps):
            return super().forward(input)
        windows = F.pad(input, (padding, padding)).unfold(2, width, stride).transpose(1, 2).flatten(2)
        return F.linear(windows, self.weight.flatten(1), self.bias).transpose(1, 2)


class Upsample1d(nn.ConvTranspose1d):
    """Transposed convolution that doubles the length (kernel 4, stride 2): (B, C, T) -> (B, C, 2 T)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 4, stride=2, padding=1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Upsample (B, C, T).

        As a product, every input step gives four taps; output step 2t sums taps 1 of t and 3 of t - 1, output step
        2t + 1 taps 2 of t and 0 of t + 1.
        """
        batch, channels, steps = input.shape
        if output_size is not None or not product_is_faster(input, self.weight, batch * steps):
            return super().forward(input, output_size)
        taps = (input.transpose(1, 2) @ self.weight.flatten(1)).unflatten(2, (channels, 4))
        ahead, behind = F.pad(taps[:, 1:, :, 0], (0, 0, 0, 1)), F.pad(taps[:, :-1, :, 3], (0, 0, 1, 0))
        joined = torch.stack((taps[..., 1] + behind, taps[..., 2] + ahead), dim=2)
        assert self.bias is not None
        return (joined + self.bias).flatten(1, 2).transpose(1, 2)


def product_is_faster(input: Tensor, weight: Tensor, rows: int) -> bool:
    """Whether a convolution with so many output rows should be a matrix product: by device and sizes alone."""
    if input.device.type != "cpu":
        return False
    size = weight.numel()
    return size >= LARGE_WEIGHT or (rows <= FEW_ROWS and size >= TINY_WEIGHT)
