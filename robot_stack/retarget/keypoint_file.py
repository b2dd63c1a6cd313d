"""Keypoint tables as JSON, to be written by a proposal and corrected by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import RobotStackError
from robot_stack.retarget.keypoint_table import BodyPoint, ContactGroup, KeypointTable

FORMAT = "robot_stack/keypoints/1"
"""What ``format`` says."""


class KeypointFileError(RobotStackError):
    """A file is no keypoint table."""


def write_table(path: str | Path, table: KeypointTable) -> None:
    """Write a table, atomically, in a form that people can edit.

    Raises:
        StorageError: if the file system refuses.
    """
    content = {
        "format": FORMAT,
        "height_m": table.height_m,
        "keypoints": {name: _point(table.keypoints[name]) for name in table.names},
        "contacts": [
            {
                "name": group.name,
                "keypoint": group.keypoint,
                "points": [_point(point) for point in group.points],
                "clearance_m": group.clearance_m,
                "partner": group.partner,
                "radius_m": group.radius_m,
            }
            for group in table.contacts
        ],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def read_table(path: str | Path) -> KeypointTable:
    """Read what :func:`write_table` wrote; ``offset``, ``clearance_m``, ``partner`` and ``radius_m`` may be left out.

    Raises:
        KeypointFileError: if it cannot be read or something in it has the wrong form; the message says where.
        ConfigError: if fewer than four keypoints are there.
        UnknownNameError: if a keypoint or partner is none.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise KeypointFileError("a keypoint table cannot be read", where=path, got=str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise KeypointFileError("a file is no keypoint table", where=path, got=got, expected=f'"format": "{FORMAT}"')
    keypoints, contacts = content.get("keypoints"), content.get("contacts", [])
    if not isinstance(keypoints, dict) or not isinstance(contacts, list):
        raise KeypointFileError("a keypoint table needs 'keypoints' by name and a list of 'contacts'", where=path)
    return KeypointTable(
        {name: _read_point(value, f"{path}, keypoint {name}") for name, value in keypoints.items()},
        tuple(_read_group(value, f"{path}, contact {i}") for i, value in enumerate(contacts)),
        _number(content, "height_m", str(path)),
    )


def _point(point: BodyPoint) -> dict[str, Any]:
    return {"body": point.body, "offset": list(point.offset)}


def _read_point(value: Any, where: str) -> BodyPoint:
    if not isinstance(value, dict) or not isinstance(value.get("body"), str):
        raise KeypointFileError("a point needs a body", where=where, got=value, expected='{"body": "…", "offset": […]}')
    offset = value.get("offset", (0.0, 0.0, 0.0))
    if not isinstance(offset, (list, tuple)) or len(offset) != 3 or not all(_is_number(x) for x in offset):
        raise KeypointFileError("an offset needs three numbers", where=where, got=offset)
    return BodyPoint(value["body"], (float(offset[0]), float(offset[1]), float(offset[2])))


def _read_group(value: Any, where: str) -> ContactGroup:
    if not isinstance(value, dict) or not all(isinstance(value.get(k), str) for k in ("name", "keypoint")):
        raise KeypointFileError("a contact group needs a name and a keypoint", where=where, got=value)
    points = value.get("points")
    if not isinstance(points, list) or not points:
        raise KeypointFileError("a contact group needs points", where=where, got=points)
    return ContactGroup(
        value["name"],
        value["keypoint"],
        tuple(_read_point(point, f"{where}, point {i}") for i, point in enumerate(points)),
        _number(value, "clearance_m", where, 0.0),
        str(value.get("partner", "")),
        _number(value, "radius_m", where, 0.0),
    )


def _number(values: dict[str, Any], key: str, where: str, otherwise: float | None = None) -> float:
    value = values.get(key, otherwise)
    if not _is_number(value) or value < 0:
        raise KeypointFileError(f"{key} must be a length", where=where, got=value)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e6
