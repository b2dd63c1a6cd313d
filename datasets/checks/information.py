"""Checks ``meta/info.json`` against itself, and the table of tasks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.finding import RESTORE, Findings
from robot_stack.datasets.metadata import AUTOMATIC_COLUMNS, DatasetInfo, FeatureInfo, read_tasks

_AUTOMATIC_TYPES = {name: "float32" if name == "timestamp" else "int64" for name in AUTOMATIC_COLUMNS}
_EDIT = "correct the entry in meta/info.json; keep a copy of the file"


def check_info(info: DatasetInfo, findings: Findings) -> None:
    """Check what ``meta/info.json`` says for contradictions."""
    path = findings.root / "meta" / "info.json"
    if not (np.isfinite(info.fps) and info.fps > 0):
        findings.add("error", "the frame rate is not positive", path, got=info.fps, remedy=_EDIT)
    for name in AUTOMATIC_COLUMNS:
        feature = info.features.get(name)
        if feature is None:
            findings.add("error", f"the feature {name!r} is missing", path, got=sorted(info.features), remedy=_EDIT)
        elif np.dtype(feature.numpy_dtype).kind != np.dtype(_AUTOMATIC_TYPES[name]).kind:
            expected = _AUTOMATIC_TYPES[name]
            findings.add("error", f"{name!r} has an odd type", path, got=feature.dtype, expected=expected, remedy=_EDIT)
    for feature in info.features.values():
        _check_feature(feature, path, findings)
    if any(f.dtype == "video" for f in info.features.values()) and not info.video_path:
        findings.add("error", "there are video features but no video_path", path, remedy=_EDIT)
    if info.total_episodes < 0 or info.total_frames < info.total_episodes:
        got = f"{info.total_episodes} episodes, {info.total_frames} frames"
        findings.add("error", "the totals are impossible", path, got=got, remedy=RESTORE)
    _check_splits(info, path, findings)


def check_tasks(root: Path, info: DatasetInfo, findings: Findings) -> tuple[str, ...] | None:
    """Check the table of tasks; ``None`` when it cannot be read."""
    path = root / "meta" / "tasks.parquet"
    if not info.total_episodes and not path.exists():
        return ()
    try:
        tasks = read_tasks(root)
    except DatasetError as error:
        findings.add_error(error)
        return None
    stated = info.raw.get("total_tasks")
    if stated is not None and stated != len(tasks):
        remedy = f"set total_tasks to {len(tasks)} in meta/info.json"
        findings.add(
            "warning",
            "total_tasks is wrong",
            root / "meta" / "info.json",
            got=stated,
            expected=len(tasks),
            remedy=remedy,
        )
    for text in sorted({t for t in tasks if tasks.count(t) > 1}):
        findings.add("warning", "two tasks have the same text", path, row=tasks.index(text), got=text)
    for row, text in enumerate(tasks):
        if not text.strip():
            remedy = "language-conditioned policies need an instruction: give the task a text"
            findings.add("warning", "a task has no text", path, row=row, remedy=remedy)
    return tasks


def _check_feature(feature: FeatureInfo, path: Path, findings: Findings) -> None:
    if any(n < 1 for n in feature.shape):
        findings.add("error", f"{feature.name!r} has an impossible shape", path, got=feature.shape, remedy=_EDIT)
    if feature.is_camera:
        if len(feature.shape) != 3 or feature.image_shape[2] not in (1, 3, 4):
            expected = "(height, width, channels)"
            findings.add(
                "error",
                f"the camera {feature.name!r} has no image shape",
                path,
                got=feature.shape,
                expected=expected,
                remedy=_EDIT,
            )
        return
    if isinstance(feature.names, list) and len(feature.shape) == 1 and len(feature.names) != feature.shape[0]:
        got, expected = f"{len(feature.names)} names", f"{feature.shape[0]}"
        findings.add(
            "warning",
            f"{feature.name!r} has another number of names than numbers",
            path,
            got=got,
            expected=expected,
            remedy=_EDIT,
        )


def _check_splits(info: DatasetInfo, path: Path, findings: Findings) -> None:
    splits = info.raw.get("splits") or {}
    if not isinstance(splits, dict):
        findings.add("error", "splits is not a mapping", path, got=splits, remedy=_EDIT)
        return
    for name, text in splits.items():
        found = re.fullmatch(r"(\d+):(\d+)", str(text))
        if not found or not int(found[1]) <= int(found[2]) <= info.total_episodes:
            expected = f"'from:to' within 0:{info.total_episodes}"
            findings.add(
                "error",
                f"the split {name!r} names no range of episodes",
                path,
                got=text,
                expected=expected,
                remedy=_EDIT,
            )
