"""Named, typed pieces of what a robot senses and does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class Field:
    """One named vector of an observation or action.

    The order of ``names`` is the order of the numbers: a joint vector lists its joints.
    """

    name: str
    """Identifier, unique within the embodiment's state or action, e.g. ``"hand_position"``."""

    size: int
    """How many numbers."""

    unit: str
    """SI unit: ``"m"``, ``"rad"``, ``"m/s"``, ``"1"`` for plain numbers."""

    names: tuple[str, ...] = ()
    """One name for each number (joint or axis names); empty means ``name_0, name_1, …``."""

    low: tuple[float, ...] = ()
    """Lower limits, one for each number [unit]; empty means unbounded."""

    high: tuple[float, ...] = ()
    """Upper limits, one for each number [unit]; empty means unbounded."""

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() or c in "/." for c in self.name):
            raise ConfigError("a field needs a name without spaces, dots and slashes", got=repr(self.name))
        if self.size < 1:
            raise ConfigError(f"field {self.name!r} needs at least one number", got=self.size)
        for label, values in (("names", self.names), ("low", self.low), ("high", self.high)):
            if values and len(values) != self.size:
                raise ConfigError(
                    f"field {self.name!r}: {label} does not match its size",
                    got=f"{len(values)} entries",
                    expected=f"{self.size} or none",
                )
        if any(math.isnan(v) for v in (*self.low, *self.high)):
            raise ConfigError(f"field {self.name!r} has NaN among its limits")
        if self.low and self.high and any(lo > hi for lo, hi in zip(self.low, self.high, strict=True)):
            raise ConfigError(f"field {self.name!r} has a lower limit above its upper limit", got=(self.low, self.high))

    @property
    def element_names(self) -> tuple[str, ...]:
        """One name for each number, made up from the field's name where none were given."""
        if self.names:
            return self.names
        return (self.name,) if self.size == 1 else tuple(f"{self.name}_{i}" for i in range(self.size))

    @property
    def low_array(self) -> np.ndarray:
        """Lower limits, shape ``(size,)``, ``-inf`` where unbounded."""
        return np.array(self.low or (-np.inf,) * self.size, dtype=np.float64)

    @property
    def high_array(self) -> np.ndarray:
        """Upper limits, shape ``(size,)``, ``inf`` where unbounded."""
        return np.array(self.high or (np.inf,) * self.size, dtype=np.float64)


@dataclass(frozen=True)
class CameraSpec:
    """One camera: 8-bit RGB images of fixed size."""

    name: str
    """Identifier, unique within the embodiment, e.g. ``"corner"`` or ``"wrist_left"``."""

    height: int
    """Image rows [pixel]."""

    width: int
    """Image columns [pixel]."""

    frame: str = ""
    """Name of the frame the camera is mounted on; empty when fixed in the world."""

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() or c in "/." for c in self.name):
            raise ConfigError("a camera needs a name without spaces, dots and slashes", got=repr(self.name))
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"camera {self.name!r} has an empty image", got=(self.height, self.width))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(height, width, 3)``."""
        return (self.height, self.width, 3)


def stack_limits(fields: tuple[Field, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits of several fields in a row, each of shape ``(sum of sizes,)``."""
    if not fields:
        return np.empty(0), np.empty(0)
    return np.concatenate([f.low_array for f in fields]), np.concatenate([f.high_array for f in fields])


def slices_of(fields: tuple[Field, ...]) -> dict[str, slice]:
    """Where each field lies in the concatenated vector."""
    slices: dict[str, slice] = {}
    start = 0
    for field in fields:
        slices[field.name] = slice(start, start + field.size)
        start += field.size
    return slices
