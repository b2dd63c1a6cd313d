"""Makers of worlds, drivers and recorders, told apart and described: functions and ``functools.partial`` of them."""

from __future__ import annotations

import functools
from typing import Any

from robot_stack.core.config_json import to_plain


def same_maker(one: Any, other: Any) -> bool:
    """Whether two makers are the same function with equal arguments."""
    if one is other:
        return True
    if isinstance(one, functools.partial) and isinstance(other, functools.partial):
        return one.func == other.func and one.args == other.args and one.keywords == other.keywords
    return bool(one == other)


def describe_maker(maker: Any) -> dict[str, Any]:
    """What a maker is called and its arguments, as plain data for provenance.

    Raises:
        ConfigError: if an argument is not plain data.
    """
    if isinstance(maker, functools.partial):
        inner = describe_maker(maker.func)
        return {**inner, "arguments": to_plain(list(maker.args)), "keywords": to_plain(maker.keywords)}
    name = getattr(maker, "__qualname__", type(maker).__qualname__)
    return {"maker": f"{getattr(maker, '__module__', '')}.{name}"}
