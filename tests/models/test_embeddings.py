"""Sinusoidal embeddings from their formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from robot_stack.core.errors import ConfigError
from robot_stack.models.embeddings import TimeEmbedding, sinusoidal_embedding


def test_embedding_follows_the_formula():
    times = torch.tensor([0.0, 1.0, 37.5, 99.0], dtype=torch.float64)
    embedded = sinusoidal_embedding(times, 8)
    for row, time in zip(embedded, times.tolist(), strict=True):
        for index in range(4):
            phase = time * 10_000.0 ** (-index / 3)
            assert row[index].item() == pytest.approx(math.sin(phase), abs=1e-12)
            assert row[4 + index].item() == pytest.approx(math.cos(phase), abs=1e-12)


def test_integer_times_keep_full_precision_under_autocast():
    times = torch.arange(100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedded = sinusoidal_embedding(times, 16)
    assert embedded.dtype == torch.float32
    distances = torch.cdist(embedded, embedded) + 10 * torch.eye(100)
    assert distances.min() > 0.1


def test_odd_sizes_are_refused():
    for dim in (2, 5):
        with pytest.raises(ConfigError, match="even"):
            TimeEmbedding(dim, hidden_dim=8, out_dim=8, activation=nn.Mish())
