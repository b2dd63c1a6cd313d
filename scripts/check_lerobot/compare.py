"""Compares what LeRobot loads with what robot_stack loads from the same dataset, value by value and frame by frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_stack.datasets.reader import Dataset


@dataclass(frozen=True)
class Line:
    """One comparison."""

    direction: str
    """Who wrote and who read."""

    what: str
    """Feature or fact."""

    compared: int
    """Numbers or texts compared."""

    different: int
    """How many of them differ."""

    note: str = ""
    """What a reader of the table should know."""


def compare_readers(direction: str, root: Path, dumped: Path) -> list[Line]:
    """Every value and frame that LeRobot gave, against robot_stack's reader.

    Args:
        direction: for the table.
        root: the dataset.
        dumped: what ``lerobot_side.py dump`` saved.
    """
    theirs = np.load(dumped, allow_pickle=False)
    facts = json.loads(theirs["__facts__"].tobytes())
    dataset = Dataset(root)
    rows = np.arange(dataset.num_frames)
    lines = [_column(direction, dataset, name, theirs[name]) for name in dataset.column_names]
    for camera in dataset.camera_names:
        different = int((dataset.frames(camera, rows) != theirs[camera]).sum())
        note = f"{dataset.features[camera].dtype}, {len(rows)} frames"
        lines.append(Line(direction, camera, theirs[camera].size, different, note))
    for name, feature in dataset.features.items():
        if feature.dtype == "string":
            lines.append(_texts(direction, name, dataset.texts(name, rows), facts["texts"][name]))
    lines.append(_texts(direction, "task of each frame", dataset.task_texts(rows), facts["texts"]["task"]))
    lines += _facts(direction, dataset, facts)
    return lines


def compare_stats(direction: str, root: Path, dumped: Path) -> list[Line]:
    """Every statistic of meta/stats.json as LeRobot parsed it, against robot_stack's reader."""
    facts = json.loads(np.load(dumped, allow_pickle=False)["__facts__"].tobytes())
    stats = Dataset(root).stats
    compared = different = 0
    for feature, entries in facts["stats"].items():
        for name, value in entries.items():
            compared += np.size(value)
            ours = stats.get(feature, {}).get(name)
            same = ours is not None and np.array_equal(np.asarray(value), ours)
            different += 0 if same else np.size(value)
    return [Line(direction, "statistics", compared, different)]


def compare_truth(direction: str, root: Path, known: list[list[dict[str, np.ndarray]]]) -> list[Line]:
    """What was recorded, against robot_stack's reader: numbers exactly, pictures exactly, video within its loss.

    Args:
        direction: for the table.
        root: the dataset.
        known: the frames of each episode as they were given to the recorder.
    """
    dataset = Dataset(root)
    frames = [frame for episode in known for frame in episode]
    lines = []
    for name, feature in dataset.features.items():
        if name not in frames[0]:
            continue
        truth = [frame[name] for frame in frames]
        if feature.dtype == "string":
            lines.append(_texts(direction, f"{name}, recorded", dataset.texts(name, np.arange(len(frames))), truth))
            continue
        expected = np.stack(truth)
        if not feature.is_camera:
            lines.append(_column(direction, dataset, name, expected, "recorded"))
            continue
        given = dataset.frames(name, np.arange(len(frames)))
        if feature.dtype == "image":
            lines.append(Line(direction, f"{name}, recorded", given.size, int((given != expected).sum())))
        else:
            error = np.abs(given.astype(float) - expected).mean(axis=(1, 2, 3))
            lines.append(_video_truth(direction, name, error, given, expected))
    return lines


def _video_truth(direction: str, name: str, error: np.ndarray, given: np.ndarray, expected: np.ndarray) -> Line:
    """A lossy frame must be nearer to its own picture than to the picture before it."""
    before = np.abs(given[1:].astype(float) - expected[:-1]).mean(axis=(1, 2, 3))
    wrong = int((error[1:] >= before).sum())
    return Line(direction, f"{name}, recorded", len(error), wrong, f"right frame; mean error {error.mean():.2f} of 255")


def _column(direction: str, dataset: Dataset, name: str, theirs: np.ndarray, label: str = "") -> Line:
    ours = dataset.column(name).array
    note = "" if theirs.dtype == ours.dtype else f"LeRobot gives {ours.dtype} as {theirs.dtype}"
    what = f"{name}, {label}" if label else name
    if ours.size != theirs.size:
        return Line(direction, what, ours.size, ours.size, f"{theirs.shape} against {ours.shape}")
    different = int((ours.astype(theirs.dtype).reshape(theirs.shape) != theirs).sum())
    return Line(direction, what, ours.size, different, note)


def _texts(direction: str, what: str, ours: list[str], theirs: Sequence[object]) -> Line:
    different = sum(a != b for a, b in zip(ours, theirs, strict=False)) + abs(len(ours) - len(theirs))
    return Line(direction, what, len(theirs), different)


def _facts(direction: str, dataset: Dataset, facts: dict[str, object]) -> list[Line]:
    ours = {
        "fps": dataset.fps,
        "num_episodes": dataset.num_episodes,
        "num_frames": dataset.num_frames,
        "cameras": sorted(dataset.camera_names),
        "tasks": {text: i for i, text in enumerate(dataset.tasks)},
        "episode_tasks": [sorted(tasks) for tasks in dataset.episodes.column("tasks")],
        "episode_lengths": dataset.episodes.length.tolist(),
    }
    wrong = [name for name, value in ours.items() if value != facts[name]]
    return [Line(direction, "facts", len(ours), len(wrong), ", ".join(wrong) or ", ".join(ours))]
