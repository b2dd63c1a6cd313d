"""Finds files that no episode needs: interrupted writes, recordings that were not finished, foreign files."""

from __future__ import annotations

import fcntl
from pathlib import Path

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.checks.finding import Findings
from robot_stack.datasets.episodes import EpisodeTable
from robot_stack.datasets.journal import JournalReader, journals
from robot_stack.datasets.layout import journal_folder
from robot_stack.datasets.metadata import DatasetInfo

_REPAIR = "robot-stack data repair brings back what can be saved and clears the rest away"


def check_leftovers(root: Path, info: DatasetInfo, table: EpisodeTable | None, findings: Findings) -> None:
    """Tell about every file that the dataset does not consist of."""
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.suffix == ".tmp"):
        findings.add(
            "note", "an interrupted write left this file", path, remedy="delete it if nothing is being written"
        )
    _check_journal(root, findings)
    staging = root / "images"
    if staging.is_dir() and any(staging.rglob("*.*")):
        message = "LeRobot was recording an episode that was never saved: its images are here"
        findings.add("warning", message, staging, remedy="delete the folder if that episode is not wanted")
    for name in ("episodes.jsonl", "tasks.jsonl", "episodes_stats.jsonl"):
        if (root / "meta" / name).exists():
            message, remedy = "a file of the older format v2.1 lies beside the new ones", "delete it; it is not read"
            findings.add("note", message, root / "meta" / name, remedy=remedy)
    if table is not None:
        _check_unused(root, info, table, findings)


def _check_journal(root: Path, findings: Findings) -> None:
    for path in journals(journal_folder(root)):
        if _being_written(root):
            findings.add("note", "an episode is being recorded", path)
            continue
        try:
            with JournalReader(path) as journal:
                message = f"a recording broke off: {len(journal)} frames of episode {journal.header.episode} are here"
        except (DatasetError, OSError) as error:
            message = f"a recording broke off before its first frame ({error})".splitlines()[0]
        findings.add("warning", message, path, remedy=_REPAIR)


def _being_written(root: Path) -> bool:
    """Somebody holds the dataset's lock; looks without taking it."""
    try:
        with (root / ".lock").open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _check_unused(root: Path, info: DatasetInfo, table: EpisodeTable, findings: Findings) -> None:
    used = used_files(root, info, table)
    for folder, suffix in (("data", ".parquet"), ("videos", ".mp4")):
        for path in sorted((root / folder).rglob(f"*{suffix}")):
            if path not in used and not path.name.startswith("."):
                findings.add("warning", "no committed episode is in this file", path, remedy=_REPAIR)


def used_files(root: Path, info: DatasetInfo, table: EpisodeTable) -> set[Path]:
    """The data and video files that hold committed episodes."""
    places = {(int(c), int(f)) for c, f in zip(table.data_chunk, table.data_file, strict=True)}
    used = {root / info.data_path.format(chunk_index=c, file_index=f) for c, f in places}
    for key, place in table.videos.items():
        files = {(int(c), int(f)) for c, f in zip(place.chunk, place.file, strict=True)}
        used |= {root / info.video_path.format(video_key=key, chunk_index=c, file_index=f) for c, f in files}
    return used
