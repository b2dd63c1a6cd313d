"""Checks a whole LeRobotDataset v3.0 folder and tells everything that is wrong with it, file by file.

Nothing is written, not even a cache. A damaged, truncated or foreign file gives one finding that names the file, the
row where there is one, and the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.embodiment import check_embodiment, check_provenance
from robot_stack.datasets.checks.episode_table import check_episodes
from robot_stack.datasets.checks.finding import Finding, Findings
from robot_stack.datasets.checks.information import check_info, check_tasks
from robot_stack.datasets.checks.leftovers import check_leftovers
from robot_stack.datasets.checks.pictures import check_images, check_videos
from robot_stack.datasets.checks.rows import Measured, check_rows
from robot_stack.datasets.checks.statistics import check_episode_stats, check_stats
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.metadata import DatasetInfo, read_info

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Validation:
    """What came out."""

    root: str
    """The dataset's folder."""

    episodes: int
    """Committed episodes that were looked at."""

    frames: int
    """Committed frames that were looked at."""

    decoded: bool
    """Every picture and video frame was decoded."""

    findings: tuple[Finding, ...]
    """Errors first."""

    @property
    def ok(self) -> bool:
        """There is no error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def of(self, severity: str) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)


def validate(root: str | Path, *, quick: bool = False) -> Validation:
    """Check a dataset.

    Args:
        root: the folder that holds ``meta/``, ``data/`` and ``videos/``.
        quick: leave out decoding pictures and video frames (their number and times are checked all the same).
    """
    root = Path(root)
    findings = Findings(root)
    try:
        info = read_info(root)
    except DatasetError as error:
        findings.add_error(error)
        return _result(root, 0, 0, quick, findings)
    check_info(info, findings)
    if findings.has_errors():
        return _result(root, info.total_episodes, info.total_frames, quick, findings)
    tasks = check_tasks(root, info, findings)
    embodiment = check_embodiment(root, info, findings)
    table = check_episodes(root, info, findings)
    if table is not None:
        measured = check_rows(root, info, table, tasks, findings)
        _check_statistics(root, info, table, measured, findings)
        check_provenance(table, embodiment, measured, findings)
        _check_cameras(root, info, table, quick, findings)
    check_leftovers(root, info, table, findings)
    return _result(root, info.total_episodes, info.total_frames, quick, findings)


def _check_statistics(
    root: Path, info: DatasetInfo, table: EpisodeTable, measured: Measured, findings: Findings
) -> None:
    check_stats(root, info, measured, findings)
    try:
        check_episode_stats(table, measured, findings)
    except DatasetError as error:
        findings.add_error(error)


def _check_cameras(root: Path, info: DatasetInfo, table: EpisodeTable, quick: bool, findings: Findings) -> None:
    damaged = {finding.file for finding in findings.items if finding.severity == "error"}
    for feature in info.features.values():
        if feature.dtype == "video":
            check_videos(root, info, table, feature, findings, decode=not quick)
        elif feature.dtype == "image":
            check_images(root, info, table, feature, findings, damaged, decode=not quick)


def _result(root: Path, episodes: int, frames: int, quick: bool, findings: Findings) -> Validation:
    ordered = sorted(findings.items, key=lambda finding: _ORDER[finding.severity])
    return Validation(str(root), episodes, frames, not quick, tuple(ordered))
