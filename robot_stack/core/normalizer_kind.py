"""Kinds of normalisers, apart from their arithmetic so that configurations can name them without NumPy."""

from __future__ import annotations

from typing import Literal

NormalizerKind = Literal["identity", "min_max", "quantile", "mean_std"]
"""How a normaliser is fitted; see :mod:`robot_stack.core.normalizer`."""
