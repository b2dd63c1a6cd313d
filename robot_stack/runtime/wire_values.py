"""Plain values of messages: read strictly, arrays as type, shape and bytes. Nothing that arrives is ever executed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.core.running_plan import RunningPlan

DTYPES = {"float64": np.dtype("<f8"), "uint8": np.dtype("u1")}
"""Types of numbers that travel, little-endian: states and actions, images."""

MAX_DIMS = 4
"""Most axes of an array."""

MAX_RUNNING = 4096
"""Most steps of a plan that is carried out."""

MAX_TEXT = 4096
"""Longest text, but for the description of a robot [characters]."""


class WireError(RobotStackError):
    """A message that is not what the protocol says: malformed, too large, of another version, out of turn."""


def plain_array(array: np.ndarray, dtype: str) -> dict[str, Any]:
    """An array as a map of plain values.

    Args:
        array: numbers that ``dtype`` can hold.
        dtype: one of :data:`DTYPES`.
    """
    numbers = np.ascontiguousarray(array, dtype=DTYPES[dtype])
    return {"dtype": dtype, "shape": list(np.shape(array)), "data": numbers.tobytes()}


class Entries:
    """A map that arrived, of which every entry is checked when it is read.

    Args:
        value: what arrived.
        keys: exactly these entries must be there.
        where: for messages.
        optional: these may be there as well.

    Raises:
        WireError: if it is no map of these keys.
    """

    def __init__(self, value: Any, keys: tuple[str, ...], where: str, optional: tuple[str, ...] = ()) -> None:
        if not isinstance(value, dict) or set(value) - set(optional) != set(keys):
            found = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise WireError(
                "a message has the wrong entries", where=where, got=_cut(found), expected=", ".join(sorted(keys))
            )
        self.value, self.where = value, where

    def text(self, key: str, limit: int = MAX_TEXT) -> str:
        """A text of at most ``limit`` characters."""
        value = self.value[key]
        if not isinstance(value, str) or len(value) > limit:
            raise self.wrong(key, f"text of at most {limit} characters")
        return value

    def integer(self, key: str, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.value[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.value[key]
        if not isinstance(value, float) or not math.isfinite(value):
            raise self.wrong(key, "a finite floating-point number")
        return value

    def items(self, key: str, limit: int) -> list[Any]:
        """A list of at most ``limit`` values."""
        value = self.value[key]
        if not isinstance(value, list) or len(value) > limit:
            raise self.wrong(key, f"a list of at most {limit}")
        return value

    def texts(self, key: str, limit: int) -> tuple[str, ...]:
        """A list of at most ``limit`` texts."""
        values = self.items(key, limit)
        if not all(isinstance(value, str) and len(value) <= MAX_TEXT for value in values):
            raise self.wrong(key, "a list of texts")
        return tuple(values)

    def entries(self, key: str, limit: int) -> dict[str, Any]:
        """A map from texts, of at most ``limit`` entries."""
        value = self.value[key]
        if not isinstance(value, dict) or len(value) > limit or not all(isinstance(name, str) for name in value):
            raise self.wrong(key, f"a map from texts of at most {limit} entries")
        return value

    def array(self, key: str, dtype: str, dims: int) -> np.ndarray:
        """An array with ``dims`` axes, read-only; its bytes are not copied."""
        return read_array(self.value[key], dtype, dims, f"{self.where}.{key}")

    def wrong(self, key: str, expected: str) -> WireError:
        """The error for an entry that is not as expected."""
        return WireError(
            f"the entry {key!r} of a message is wrong", where=self.where, got=_cut(self.value[key]), expected=expected
        )


def read_array(value: Any, dtype: str, dims: int, where: str) -> np.ndarray:
    """What :func:`plain_array` gave.

    Raises:
        WireError: if the type is another one, the shape is none, or the bytes do not fit it.
    """
    entries = Entries(value, ("dtype", "shape", "data"), where)
    shape, data = entries.items("shape", MAX_DIMS), entries.value["data"]
    if entries.text("dtype") != dtype:
        raise entries.wrong("dtype", dtype)
    if len(shape) != dims or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise entries.wrong("shape", f"{dims} sizes")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    if not isinstance(data, bytes) or len(data) != size:
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise WireError("an array's bytes do not fit its shape", where=where, got=got, expected=f"{size} bytes")
    return np.frombuffer(data, DTYPES[dtype]).reshape(shape)


def plain_running(plan: RunningPlan) -> dict[str, Any]:
    """What a robot carries out as a map of plain values."""
    numbers = {"actions": plain_array(plan.actions, "float64"), "weights": plain_array(plan.weights, "float64")}
    return {**numbers, "max_weight": float(plan.max_weight)}


def read_running(value: Any) -> RunningPlan:
    """What :func:`plain_running` gave.

    Raises:
        WireError: if a number is missing or out of range.
    """
    e = Entries(value, ("actions", "weights", "max_weight"), "running")
    actions, weights = e.array("actions", "float64", 2), e.array("weights", "float64", 1)
    if len(actions) != len(weights) or len(actions) > MAX_RUNNING:
        raise e.wrong("weights", f"one weight for each action, at most {MAX_RUNNING}")
    if not e.number("max_weight") > 0.0:
        raise e.wrong("max_weight", "above zero")
    return RunningPlan(actions, weights, e.number("max_weight"))


def _cut(value: Any) -> str:
    text = repr(value) if isinstance(value, (int, float, bool, type(None))) else str(value)[:200]
    return text[:200]
