"""Frozen dataclasses to JSON and back, strictly: unknown keys, missing keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from robot_stack.core.errors import ConfigError, UnknownNameError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples, paths and infinities as plain JSON values (``Infinity`` becomes the string ``"inf"``)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError("a configuration holds plain data only", got=f"{type(value).__name__}: {value!r}")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint_of(value: Any) -> str:
    """SHA-256 of :func:`canonical_json`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def from_plain(cls: type[T], value: Any, *, where: str = "") -> T:
    """Build ``cls`` (a dataclass) from plain JSON values, checking every key and type.

    Args:
        cls: the dataclass.
        value: what :func:`to_plain` gave.
        where: path to the value, for error messages.

    Raises:
        ConfigError: on a missing key or a value of the wrong type.
        UnknownNameError: on a key that ``cls`` does not have.
    """
    return _convert(cls, value, where or cls.__name__)


def _convert(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(kind, value, where)
    if origin is typing.Literal:
        if value not in get_args(kind):
            raise ConfigError("unexpected value", where=where, got=repr(value), expected=get_args(kind))
        return value
    if origin in (tuple, list):
        return _convert_sequence(kind, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError("a mapping was expected", where=where, got=type(value).__name__)
        return {k: _convert(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, value, where)
    return _convert_scalar(kind, value, where)


def _convert_union(kind: Any, value: Any, where: str) -> Any:
    options = get_args(kind)
    if value is None and type(None) in options:
        return None
    options = [option for option in options if option is not type(None)]
    meant = [option for option in options if _kind_of(option) is not None and _kind_of(option) == _kind_in(value)]
    errors = []
    for option in meant or options:
        try:
            return _convert(option, value, where)
        except (ConfigError, UnknownNameError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    kinds = [k for option in options if (k := _kind_of(option)) is not None]
    raise ConfigError(
        "no alternative of the type fits",
        where=where,
        got=repr(value),
        expected=f"kind: one of {kinds}" if kinds else kind,
    )


def _kind_of(option: Any) -> Any:
    """The value of a dataclass's ``kind`` field, by which alternatives are told apart."""
    if not dataclasses.is_dataclass(option):
        return None
    return next((f.default for f in dataclasses.fields(option) if f.name == "kind"), None)


def _kind_in(value: Any) -> Any:
    return value.get("kind") if isinstance(value, dict) else None


def _convert_sequence(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ConfigError("a list was expected", where=where, got=type(value).__name__)
    origin, args = get_origin(kind), get_args(kind)
    if origin is list or (len(args) == 2 and args[1] is Ellipsis):
        item_kinds: list[Any] = [args[0]] * len(value)
    else:
        item_kinds = list(args)
        if len(item_kinds) != len(value):
            raise ConfigError("wrong number of entries", where=where, got=len(value), expected=len(item_kinds))
    items = [_convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(item_kinds, value, strict=True))]
    return items if origin is list else tuple(items)


def _convert_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError("a mapping was expected", where=where, got=type(value).__name__)
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for key in value:
        if key not in fields:
            raise UnknownNameError("key", key, fields, where=where)
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in value and no_default:
            raise ConfigError(f"the key {name!r} is missing", where=where, expected=sorted(fields))
    return kind(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in value.items()})


def _convert_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, str) and value in ("inf", "-inf", "nan"):
        return float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is int and isinstance(value, bool):
        raise ConfigError("wrong type", where=where, got=repr(value), expected="int")
    if not isinstance(value, kind):
        raise ConfigError("wrong type", where=where, got=repr(value), expected=getattr(kind, "__name__", kind))
    return value
