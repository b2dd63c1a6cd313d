"""``--set key.inner=value``: change any value of a configuration by its path."""

from __future__ import annotations

import json
from typing import Any


def override(plain: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """A copy of ``plain`` with some values changed.

    Args:
        plain: a configuration as nested mappings and lists.
        assignments: ``"policy.horizon=32"``; the value is JSON, or text where it is not.

    Raises:
        ConfigError: if an assignment has no ``=``.
        UnknownNameError: if a path leads nowhere; the nearest keys are listed.
    """
    from robot_stack.core.errors import ConfigError

    out: dict[str, Any] = json.loads(json.dumps(plain))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError("an override needs a value", got=assignment, expected="key.inner=value")
        *outer, last = path.split(".")
        place: Any = out
        walked: list[str] = []
        for key in outer:
            place = place[_step(place, key, walked)]
            walked.append(key)
        place[_step(place, last, walked)] = _value(text)
    return out


def _step(place: Any, key: str, walked: list[str]) -> Any:
    from robot_stack.core.errors import require_name

    require_name("key", key, _keys(place), where=".".join(walked) or "the configuration")
    return int(key) if isinstance(place, list) else key


def _keys(place: Any) -> list[str]:
    if isinstance(place, dict):
        return list(place)
    return [str(i) for i in range(len(place))] if isinstance(place, list) else []


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
