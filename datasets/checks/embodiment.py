"""Checks ``meta/embodiment.json`` and each episode's provenance against the features."""

from __future__ import annotations

import json
from pathlib import Path

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import DatasetError, RobotStackError
from robot_stack.datasets.checks.finding import RESTORE, Findings
from robot_stack.datasets.checks.rows import Measured
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, read_json

_WRONG = "this embodiment belongs to another dataset: restore the right meta/embodiment.json"


def read_embodiment(root: Path) -> Embodiment | None:
    """The embodiment of a dataset; ``None`` when it has none, as with datasets that LeRobot recorded.

    Raises:
        DatasetError: if the file is damaged.
    """
    path = root / "meta" / "embodiment.json"
    if not path.is_file():
        return None
    plain = read_json(path)
    try:
        return from_plain(Embodiment, plain, where=str(path))
    except RobotStackError as error:
        message = f"embodiment.json describes no embodiment: {error.message}"
        raise DatasetError(message, where=path, got=error.got, expected=error.expected, remedy=RESTORE) from error


def check_embodiment(root: Path, info: DatasetInfo, findings: Findings) -> Embodiment | None:
    """Check that the features are those of the embodiment; ``None`` when there is none or it cannot be read."""
    path = root / "meta" / "embodiment.json"
    try:
        embodiment = read_embodiment(root)
    except DatasetError as error:
        findings.add_error(error)
        return None
    if embodiment is None:
        message = "there is no embodiment.json: policies trained on it cannot check the robot they are deployed on"
        findings.add("note", message, path)
        return None
    if embodiment.control_hz != info.fps:
        got, expected = f"{embodiment.control_hz:g} Hz", f"{info.fps:g} Hz as info.json says"
        findings.add("error", "the embodiment has another rate", path, got=got, expected=expected, remedy=_WRONG)
    _check_vector(embodiment.state_names, "observation.state", info, path, findings)
    _check_vector(embodiment.action_names, "action", info, path, findings)
    cameras = {f"observation.images.{camera.name}": camera.shape for camera in embodiment.cameras}
    for name, shape in cameras.items():
        feature = info.features.get(name)
        if feature is None:
            findings.add("error", f"the embodiment's camera {name!r} is no feature", path, remedy=_WRONG)
        elif feature.is_camera and feature.image_shape[:2] != shape[:2]:
            got, message = feature.image_shape, f"the camera {name!r} has another size"
            findings.add("error", message, path, got=got, expected=shape, remedy=_WRONG)
    for name in [f.name for f in info.features.values() if f.is_camera and f.name not in cameras]:
        findings.add("warning", f"the camera {name!r} is not in the embodiment", path, remedy=_WRONG)
    return embodiment


def check_provenance(
    table: EpisodeTable, embodiment: Embodiment | None, measured: Measured, findings: Findings
) -> None:
    """Check what was noted about each episode: readable, of this embodiment, true about success."""
    if "provenance" not in table.column_names:
        return
    fingerprint = embodiment.fingerprint() if embodiment else ""
    told: set[str] = set()
    for episode, text in enumerate(table.column("provenance")):
        for kind, message, got, expected in _contradictions(text, fingerprint, measured.success[episode]):
            if kind not in told:
                told.add(kind)
                folder = table.root / "meta" / "episodes"
                findings.add(
                    "error", f"episode {episode}: {message}", folder, got=got, expected=expected, remedy=RESTORE
                )


def _contradictions(text: str | None, fingerprint: str, reached: bool | None) -> list[tuple[str, str, object, object]]:
    if text is None:
        return []
    try:
        noted = json.loads(text)
    except json.JSONDecodeError as error:
        return [("json", "its provenance is not JSON", error, "")]
    if not isinstance(noted, dict):
        return [("json", "its provenance is not an object", type(noted).__name__, "")]
    out: list[tuple[str, str, object, object]] = []
    stated = noted.get("embodiment")
    if fingerprint and isinstance(stated, str) and stated != fingerprint:
        out.append(("robot", "it was recorded with another embodiment", stated[:12], fingerprint[:12]))
    success = noted.get("success")
    if reached is not None and isinstance(success, bool) and success != reached:
        out.append(("success", "its provenance contradicts next.success", success, reached))
    return out


def _check_vector(names: tuple[str, ...], feature_name: str, info: DatasetInfo, path: Path, findings: Findings) -> None:
    feature = info.features.get(feature_name)
    if feature is None:
        if names:
            findings.add("error", f"the feature {feature_name!r} is missing", path, remedy=_WRONG)
        return
    if feature.shape != (len(names),):
        got, message = feature.shape, f"{feature_name!r} has another size than the embodiment says"
        findings.add("error", message, path, got=got, expected=(len(names),), remedy=_WRONG)
    elif isinstance(feature.names, list) and tuple(feature.names) != names:
        message = f"the numbers of {feature_name!r} have other names than the embodiment says"
        findings.add("error", message, path, got=feature.names, expected=list(names), remedy=_WRONG)
