"""Tables survive their file, and wrong files say where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.retarget.keypoint_file import KeypointFileError, read_table, write_table
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES, BodyPoint


@pytest.mark.parametrize("name", sorted(KEYPOINT_TABLES))
def test_tables_come_back(name: str, tmp_path: Path) -> None:
    write_table(tmp_path / "table.json", KEYPOINT_TABLES[name])
    assert read_table(tmp_path / "table.json") == KEYPOINT_TABLES[name]


def test_short_tables_written_by_hand_will_do(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    points = {name: {"body": name} for name in ("pelvis", "left_hip", "right_hip", "left_knee")}
    file.write_text(json.dumps({"format": "robot_stack/keypoints/1", "height_m": 1, "keypoints": points}))
    table = read_table(file)
    assert table.contacts == () and table.keypoints["pelvis"] == BodyPoint("pelvis")


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        ({"format": "other"}, KeypointFileError, "no keypoint table"),
        ({"keypoints": []}, KeypointFileError, "by name"),
        ({"keypoints": {"pelvis": {"body": "a"}}}, ConfigError, "at least four"),
        ({"keypoints": {"pelvis": {"body": "a", "offset": [1, 2]}}}, KeypointFileError, "keypoint pelvis"),
        ({"keypoints": {"pelvis": {"body": "a", "offset": [1, 2, float("nan")]}}}, KeypointFileError, "three numbers"),
        ({"keypoints": {"pelvis": "a"}}, KeypointFileError, "needs a body"),
        ({"contacts": [{"name": "toe"}]}, KeypointFileError, "contact 0"),
        ({"contacts": [{"name": "t", "keypoint": "left_toe", "points": []}]}, KeypointFileError, "needs points"),
        (
            {"contacts": [{"name": "t", "keypoint": "toe", "points": [{"body": "a"}]}]},
            UnknownNameError,
            "unknown keypoint 'toe'",
        ),
        ({"height_m": -1}, KeypointFileError, "height_m must be a length"),
        ({"height_m": None}, KeypointFileError, "height_m must be a length"),
    ],
)
def test_wrong_files_say_where(change: dict, error: type[Exception], why: str, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    write_table(file, KEYPOINT_TABLES["unitree_g1"])
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(error, match=why):
        read_table(file)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[]")
    for name, why in (("a", "cannot be read"), ("b", "no keypoint table"), ("c", "cannot be read")):
        with pytest.raises(KeypointFileError, match=why):
            read_table(tmp_path / f"{name}.json")
