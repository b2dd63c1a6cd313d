"""ROS parameters of a node from a frozen dataclass: one place says names, types, defaults and what they mean."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import require_name

Config = TypeVar("Config")


def declare(node: Any, kind: type[Config], changeable: Sequence[str] = ()) -> Config:
    """Declare every field of a dataclass as a parameter of a node and read what was given.

    Args:
        node: of rclpy; an :class:`rclpy.node.Node`.
        kind: a frozen dataclass of plain data with a default for every field.
        changeable: parameters that may be set while the node runs; the others are read-only.

    Raises:
        ConfigError: if a value is of the wrong type or out of range.
    """
    from rcl_interfaces.msg import ParameterDescriptor

    says = descriptions(kind)
    plain: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type] - bound to dataclasses by use
        default: Any = cast(Any, field.default)
        descriptor = ParameterDescriptor(
            description=says.get(field.name, ""),
            read_only=field.name not in changeable,
            dynamic_typing=isinstance(default, (tuple, float)),  # an empty list, or 30 for 30.0
        )
        value = node.declare_parameter(field.name, _ros_value(default), descriptor).value
        plain[field.name] = _plain(value, hints[field.name], field.name)
    return from_plain(kind, plain, where=f"parameters of {node.get_name()!r}")


def descriptions(kind: type) -> dict[str, str]:
    """The one-line docstring under each field of a dataclass, by name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    said: dict[str, str] = {}
    name = ""
    for line in body.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
        elif name and isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            said[name] = " ".join(str(line.value.value).split())
            name = ""
    return said


def _ros_value(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _plain(value: Any, hint: Any, name: str) -> Any:
    if get_origin(hint) is tuple:
        return [] if value is None else list(value)
    if get_origin(hint) is Literal:
        return require_name(f"value of {name!r}", str(value), [str(v) for v in get_args(hint)])
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
