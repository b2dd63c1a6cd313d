"""Compares stored statistics with the rows: of the whole dataset, and of each episode."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.finding import Findings
from robot_stack.datasets.checks.moments import Moments, over_leading_axes
from robot_stack.datasets.checks.rows import Measured
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import AUTOMATIC_COLUMNS, DatasetInfo, damaged_parquet, open_parquet, read_stats

_RECOMPUTE = "robot-stack data repair computes them again from the episodes"
_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_EXACT, _MEAN, _STD = 1e-5, 1e-3, 1e-2
_RANK_TOLERANCE = 0.05


def check_stats(root: Path, info: DatasetInfo, measured: Measured, findings: Findings) -> None:
    """Check ``meta/stats.json`` against the rows that were read."""
    path = root / "meta" / "stats.json"
    try:
        stats = read_stats(root)
    except DatasetError as error:
        findings.add_error(error)
        return
    except (TypeError, ValueError, AttributeError) as error:
        message = "stats.json does not hold numbers by feature and name"
        findings.add("error", message, path, got=error, remedy=_RECOMPUTE)
        return
    if not stats and info.total_frames:
        findings.add("warning", "there are no statistics", path, remedy=_RECOMPUTE)
        return
    for name in sorted(set(stats) - set(info.features)):
        findings.add("warning", f"there are statistics of {name!r}, which is no feature", path, remedy=_RECOMPUTE)
    if not measured.complete or not measured.episodes:
        return
    misplaced = []
    for name, feature in info.features.items():
        severity = "warning" if name in AUTOMATIC_COLUMNS else "error"
        if name not in stats and feature.dtype != "string":
            remedy = "" if feature.is_camera else _RECOMPUTE
            findings.add("warning", f"the statistics of {name!r} are missing", path, remedy=remedy)
        elif feature.is_numeric:
            moments = reduce(Moments.merged, (episode[name] for episode in measured.episodes))
            if wrong := differences(moments, stats[name]) or _disorder(stats[name]):
                message = f"the statistics of {name!r} are not those of the rows"
                findings.add(severity, message, path, got=wrong, remedy=_RECOMPUTE)
            elif place := _misplaced(stats[name], measured.samples[name]):
                misplaced.append(f"{name} {place}")
        elif _is_colour(info, name) and (wrong := _impossible_picture(stats[name])):
            message = f"the statistics of {name!r} are impossible"
            findings.add("error", message, path, got=wrong, expected="values from 0 to 1 by channel", remedy=_RECOMPUTE)
    if misplaced:
        message = f"stored quantiles of {len(misplaced)} features are not those of the rows"
        remedy = f"quantile normalisation would be off (LeRobot averages the quantiles of episodes); {_RECOMPUTE}"
        findings.add("warning", message, path, got=misplaced[0], remedy=remedy)


def check_episode_stats(table: EpisodeTable, measured: Measured, findings: Findings) -> None:
    """Check the statistics kept for each episode; one finding for each feature at most."""
    told: set[str] = set()
    episode = 0
    for path in table.files:
        for row, stored in enumerate(_stored(path)):
            if episode >= len(table):
                return
            for name, moments in measured.episodes[episode].items():
                wrong = differences(moments, stored.get(name, {}))
                if wrong and name not in told:
                    told.add(name)
                    severity = "warning" if name in AUTOMATIC_COLUMNS else "error"
                    message = f"the episode's statistics of {name!r} are not those of its rows"
                    findings.add(severity, message, path, row=row, got=wrong, remedy=_RECOMPUTE)
            episode += 1


def differences(moments: Moments, stored: dict[str, Any]) -> str:
    """Which stored numbers differ from the measured ones, in words; empty when they agree.

    Args:
        moments: measured.
        stored: ``min``, ``max``, ``mean``, ``std`` and ``count``; those that are missing are not compared.
    """
    if moments.mean.ndim > 1 and np.size(stored.get("min", 0.0)) == moments.mean.shape[-1]:
        moments = over_leading_axes(moments)
        stored = {name: value for name, value in stored.items() if name != "count"}
    scale = np.maximum(np.maximum(np.abs(moments.low), np.abs(moments.high)), 1e-6)
    expected = {
        "min": (moments.low, _EXACT * scale),
        "max": (moments.high, _EXACT * scale),
        "mean": (moments.mean, _MEAN * scale),
        "std": (moments.std, _STD * scale),
        "count": (np.array(moments.count), np.array(0.0)),
    }
    out = []
    for name, (value, allowed) in expected.items():
        if name not in stored:
            continue
        try:
            got = np.asarray(stored[name], dtype=np.float64).reshape(np.shape(value))
        except (TypeError, ValueError):
            out.append(f"{name} has another shape")
            continue
        wrong = ~(np.abs(got - value) <= allowed)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            out.append(f"{name}{list(place) if place else ''} is {got[place]:.6g}, the rows give {value[place]:.6g}")
    return "; ".join(out)


def _disorder(stored: dict[str, Any]) -> str:
    values = [np.asarray(stored[n], dtype=np.float64).reshape(-1) for n in ("min", *_QUANTILES, "max") if n in stored]
    if len({len(value) for value in values}) > 1 or not all(np.isfinite(value).all() for value in values):
        return "the quantiles have another shape or are not finite"
    slack = 1e-5 * (1 + np.abs(values[0])) if values else 0.0
    wrong = any((low > high + slack).any() for low, high in pairwise(values))
    return "min, quantiles and max are out of order" if wrong else ""


def _misplaced(stored: dict[str, Any], samples: list[np.ndarray]) -> str:
    """A quantile that is far from the place in the data that its name says, in words."""
    rows = np.concatenate(samples).astype(np.float64)
    size = np.asarray(stored.get("min", 0.0)).size
    rows = rows.reshape(-1, size)
    spread = rows.max(axis=0) - rows.min(axis=0)
    slack = 1e-3 * spread + 1e-6
    tolerance = _RANK_TOLERANCE + 2 / len(rows)
    for name in (name for name in _QUANTILES if name in stored):
        value = np.asarray(stored[name], dtype=np.float64).reshape(-1)
        below, upto = (rows < value - slack).mean(axis=0), (rows <= value + slack).mean(axis=0)
        far = (below > _QUANTILES[name] + tolerance) | (upto < _QUANTILES[name] - tolerance)
        if far.any():
            at = int(np.flatnonzero(far)[0])
            return f"{name}[{at}] is {value[at]:.6g}, below which {100 * below[at]:.0f}% of the rows lie"
    return ""


def _is_colour(info: DatasetInfo, name: str) -> bool:
    """A camera whose values are kept from 0 to 1; LeRobot keeps depth in metres."""
    described = info.raw["features"][name].get("info") or {}
    depth = described.get("is_depth_map") or described.get("video.is_depth_map")
    return info.features[name].is_camera and not depth


def _impossible_picture(stored: dict[str, np.ndarray]) -> str:
    for name in ("min", "max", "mean", "std", *_QUANTILES):
        if name in stored:
            values = np.asarray(stored[name], dtype=np.float64)
            if not np.isfinite(values).all() or values.min() < -1e-6 or values.max() > 1 + 1e-6:
                return f"{name} is {values.reshape(-1).tolist()}"
    return ""


def _stored(path: Path) -> list[dict[str, dict[str, Any]]]:
    """Per-episode statistics by feature and name, for the rows of one file of the table."""
    try:
        with open_parquet(path) as file:
            names = [n for n in file.schema_arrow.names if n.startswith("stats/")]
            columns = {name: file.read(columns=[name], use_threads=False)[name].to_pylist() for name in names}
            rows = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged_parquet(path, error) from error
    out: list[dict[str, dict[str, Any]]] = [{} for _ in range(rows)]
    for name, values in columns.items():
        _, _, rest = name.partition("/")
        feature, _, statistic = rest.rpartition("/")
        for row, value in enumerate(values):
            if value is not None and not (isinstance(value, float) and math.isnan(value)):
                out[row].setdefault(feature, {})[statistic] = value
    return out
