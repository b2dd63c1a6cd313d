"""``robot-stack data compact``: joins small files of a dataset into larger ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_stack.cli.parsing import parse


@dataclass(frozen=True)
class CompactConfig:
    """Join the small files that many short recordings leave. Numbers keep their bits, videos are not re-encoded."""

    dataset: Positional[Path]
    """Folder of the dataset; nobody may be writing it."""


def run(arguments: list[str]) -> int:
    """Compact and tell how many files became fewer."""
    config = parse(CompactConfig, arguments, "robot-stack data compact")
    from robot_stack.core.lock import FolderLock
    from robot_stack.datasets.compaction import compact
    from robot_stack.datasets.metadata import read_info

    read_info(config.dataset)
    before = _files(config.dataset)
    with FolderLock(config.dataset, what="dataset"):
        compact(config.dataset)
    print(f"{before} data and video files became {_files(config.dataset)}")
    return 0


def _files(root: Path) -> int:
    return sum(path.suffix in (".parquet", ".mp4") for name in ("data", "videos") for path in (root / name).rglob("*"))
