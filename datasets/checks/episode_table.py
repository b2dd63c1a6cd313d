"""Checks the table of episodes: places, times and totals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.finding import RESTORE, Findings
from robot_stack.datasets.episodes import EpisodeTable, read_episodes
from robot_stack.datasets.metadata import DatasetInfo, damaged_parquet, open_parquet

_REWRITE = "rewrite the table: robot-stack data split DATASET OUT --fraction 1 copies every episode with right numbers"


def check_episodes(root: Path, info: DatasetInfo, findings: Findings) -> EpisodeTable | None:
    """Check the table of episodes; ``None`` when it cannot be used."""
    try:
        table = read_episodes(root, info)
        if not len(table):
            return table
        columns = _small_columns(table)
    except DatasetError as error:
        findings.add_error(error)
        return None
    _check_ranges(table, columns, findings)
    _check_places(root, table, columns, findings)
    _check_video_times(info, table, columns, findings)
    return table


def _small_columns(table: EpisodeTable) -> dict[str, list[Any]]:
    """The columns that are not statistics, read once; also proves that every page can be read."""
    parts = []
    for path in table.files:
        try:
            with open_parquet(path) as file:
                names = [n for n in file.schema_arrow.names if not n.startswith("stats/")]
                parts.append(file.read(columns=names, use_threads=False))
                file.read(columns=[n for n in file.schema_arrow.names if n not in names], use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged_parquet(path, error) from error
    joined = pa.concat_tables(parts, promote_options="default")
    return {name: joined[name].to_pylist()[: len(table)] for name in joined.column_names}


def _check_ranges(table: EpisodeTable, columns: dict[str, list[Any]], findings: Findings) -> None:
    for name, expected in (("dataset_from_index", table.start), ("dataset_to_index", table.stop)):
        if name not in columns:
            findings.add("error", f"the column {name!r} is missing", table.files[0], remedy=_REWRITE)
            continue
        values = np.array([-1 if v is None else v for v in columns[name]], dtype=np.int64)
        _report(table, values != expected, f"{name} does not follow from the lengths", values, expected, findings)
    for row, tasks in enumerate(columns.get("tasks", [])):
        if not tasks:
            file, place = _locate(table, row)
            remedy = "give the episode a task: language-conditioned policies need one"
            findings.add("warning", "an episode has no task", file, row=place, remedy=remedy)


def _check_places(root: Path, table: EpisodeTable, columns: dict[str, list[Any]], findings: Findings) -> None:
    chunk, file = columns.get("meta/episodes/chunk_index"), columns.get("meta/episodes/file_index")
    if chunk is None or file is None:
        return
    for row, (c, f) in enumerate(zip(chunk, file, strict=True)):
        actual, place = _locate(table, row)
        stated = root / "meta" / "episodes" / f"chunk-{c or 0:03d}" / f"file-{f or 0:03d}.parquet"
        if actual != stated:
            got, expected = stated.relative_to(root), actual.relative_to(root)
            message = "an episode names another file of the table than the one it is in"
            findings.add("warning", message, actual, row=place, got=got, expected=expected, remedy=_REWRITE)
            return


def _check_video_times(
    info: DatasetInfo, table: EpisodeTable, columns: dict[str, list[Any]], findings: Findings
) -> None:
    for key in table.videos:
        ends = columns.get(f"videos/{key}/to_timestamp")
        if ends is None:
            findings.add(
                "warning", f"the column 'videos/{key}/to_timestamp' is missing", table.files[0], remedy=_REWRITE
            )
            continue
        begins = table.videos[key].from_timestamp
        got = np.array([np.nan if e is None else e for e in ends]) - begins
        expected = table.length / info.fps
        wrong = ~(np.abs(got - expected) < 0.5 / info.fps) | ~(begins >= 0)
        _report(table, wrong, f"the video times of {key!r} span another time than the episode", got, expected, findings)


def _report(
    table: EpisodeTable, wrong: np.ndarray, message: str, got: np.ndarray, expected: np.ndarray, findings: Findings
) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        file, place = _locate(table, int(rows[0]))
        more = f" (and in {len(rows) - 1} more episodes)" if len(rows) > 1 else ""
        first = int(rows[0])
        findings.add("error", message + more, file, row=place, got=got[first], expected=expected[first], remedy=RESTORE)


def _locate(table: EpisodeTable, row: int) -> tuple[Path, int]:
    for path in table.files:
        with open_parquet(path) as file:
            rows = file.metadata.num_rows
        if row < rows:
            return path, row
        row -= rows
    return table.files[-1], row
