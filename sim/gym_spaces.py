"""Gymnasium spaces as named fields of flat vectors, both ways.

A Box is its numbers, a Discrete or MultiDiscrete space one number per choice (one-hot; the largest wins on the way
back), a MultiBinary space zeros and ones (from 0.5 on it is one). Dict and Tuple spaces are taken apart; a field is
called by its path, joined with underscores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field


@dataclass(frozen=True, eq=False)
class Leaf:
    """One space that is not a container, and how to get there."""

    path: tuple[str | int, ...]
    """Keys and indices from the outermost space."""

    space: spaces.Space
    """Box, Discrete, MultiDiscrete or MultiBinary."""

    @property
    def name(self) -> str:
        """Identifier of the field or camera."""
        return re.sub(r"[\s./]", "_", "_".join(str(p) for p in self.path))

    @property
    def is_image(self) -> bool:
        """Whether it is an 8-bit RGB image: uint8 of shape ``(height, width, 3)``."""
        s = self.space
        return isinstance(s, spaces.Box) and s.dtype == np.uint8 and len(s.shape) == 3 and s.shape[2] == 3

    @property
    def size(self) -> int:
        """How many numbers it takes."""
        return int(sum(self._choices())) if self._choices() else int(np.prod(self.space.shape or (1,)))

    def field(self, default: str) -> Field:
        """The field of its numbers; ``default`` names it when the outermost space is no container."""
        low: tuple[float, ...] = (0.0,) * self.size
        high: tuple[float, ...] = (1.0,) * self.size
        if isinstance(self.space, spaces.Box):
            low = tuple(np.asarray(self.space.low, np.float64).ravel().tolist())
            high = tuple(np.asarray(self.space.high, np.float64).ravel().tolist())
        return Field(self.name or default, self.size, "mixed", (), low, high)

    def get(self, value: Any) -> Any:
        """This leaf's part of a value of the outermost space."""
        for step in self.path:
            value = value[step]
        return value

    def encode(self, value: Any) -> np.ndarray:
        """Its numbers, float64 of shape ``(size,)``."""
        choices = self._choices()
        if not choices:
            return np.asarray(value, dtype=np.float64).ravel()
        picked = (np.asarray(value, dtype=np.int64) - self._first()).ravel()
        out = np.zeros(self.size)
        out[np.concatenate([[0], np.cumsum(choices)[:-1]]).astype(int) + picked] = 1.0
        return out

    def decode(self, numbers: np.ndarray) -> Any:
        """A value of the space from numbers of shape ``(size,)``."""
        space, choices = self.space, self._choices()
        if choices:
            parts = np.split(numbers, np.cumsum(choices)[:-1])
            picked = np.array([int(np.argmax(part)) for part in parts], dtype=space.dtype)
            if isinstance(space, spaces.Discrete):
                return np.int64(picked[0] + space.start)
            return (picked.reshape(space.shape) + self._first()).astype(space.dtype)
        if isinstance(space, spaces.MultiBinary):
            return (numbers >= 0.5).astype(space.dtype).reshape(space.shape)
        if np.issubdtype(space.dtype, np.integer):
            numbers = np.rint(numbers)
        return numbers.astype(space.dtype).reshape(space.shape)

    def _choices(self) -> list[int]:
        if isinstance(self.space, spaces.Discrete):
            return [int(self.space.n)]
        if isinstance(self.space, spaces.MultiDiscrete):
            return [int(n) for n in np.ravel(self.space.nvec)]
        return []

    def _first(self) -> Any:
        return self.space.start if isinstance(self.space, (spaces.Discrete, spaces.MultiDiscrete)) else 0


def leaves_of(space: spaces.Space, path: tuple[str | int, ...] = ()) -> tuple[Leaf, ...]:
    """Every leaf of a space, in the space's order.

    Raises:
        ConfigError: if a part of it has no fixed size (Text, Sequence, Graph, OneOf).
    """
    if isinstance(space, spaces.Dict):
        parts: list[tuple[str | int, spaces.Space]] = list(space.spaces.items())
    elif isinstance(space, spaces.Tuple):
        parts = list(enumerate(space.spaces))
    elif isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return (Leaf(path, space),)
    else:
        raise ConfigError(
            "this Gymnasium space has no fixed number of numbers",
            where="/".join(map(str, path)) or "outermost space",
            got=type(space).__name__,
            expected="Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of these",
            remedy="wrap the environment so that it offers one of these",
        )
    return tuple(leaf for key, part in parts for leaf in leaves_of(part, (*path, key)))


def assemble(space: spaces.Space, leaves: Mapping[tuple[str | int, ...], Any], path: tuple[str | int, ...] = ()) -> Any:
    """A value of a space from the values of its leaves."""
    if isinstance(space, spaces.Dict):
        return {key: assemble(part, leaves, (*path, key)) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(assemble(part, leaves, (*path, i)) for i, part in enumerate(space.spaces))
    return leaves[path]
