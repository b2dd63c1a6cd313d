"""``robot-stack data import``: datasets of other formats become LeRobotDatasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from robot_stack.cli.bars import bars
from robot_stack.cli.parsing import Many, Maybe, parse

if TYPE_CHECKING:
    from robot_stack.datasets.robomimic_import import RobomimicImportConfig


@dataclass(frozen=True)
class ImportConfig:
    """Convert a robomimic HDF5 file. An import that was interrupted goes on when it is started again."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """The HDF5 file."""

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """Folder of the dataset."""

    instruction: str = ""
    """The task in words; what the file says when left out."""

    state: Many[str] = ()
    """Low-dimensional observation keys; all of them when left out."""

    cameras: Maybe[Many[str]] = None
    """Image observation keys; all of them when left out, none when the list is empty."""

    action_key: str = "actions"
    """Which actions, for example actions_abs."""

    filter_key: str = ""
    """Only the demonstrations of this filter key, for example train."""

    control_hz: Maybe[float] = None
    """Control rate [Hz]; what the file says when left out."""

    success_reward: Maybe[float] = 1.0
    """A step with at least this reward is a success; None: success is not known."""

    storage: str = "video"
    """How cameras are kept: video, or image (PNG, which keeps every bit)."""


def run(arguments: list[str]) -> int:
    """Import and print the dataset's folder."""
    config = parse(ImportConfig, arguments, "robot-stack data import")
    from robot_stack.datasets.robomimic_import import import_robomimic

    with bars() as shown:
        bar = shown.add_task("demonstrations", total=None, note="")
        written = import_robomimic(
            config.file,
            config.out,
            _wanted(config),
            progress=lambda done, total: shown.update(bar, completed=done, total=total),
        )
        shown.update(bar, note="all were there already" if not written else "")
    print(config.out)
    return 0


def _wanted(config: ImportConfig) -> RobomimicImportConfig:
    from robot_stack.datasets.robomimic_import import RobomimicImportConfig
    from robot_stack.datasets.schema import require_storage

    return RobomimicImportConfig(
        instruction=config.instruction,
        state=config.state,
        cameras=config.cameras,
        action_key=config.action_key,
        filter_key=config.filter_key,
        control_hz=config.control_hz,
        success_reward=config.success_reward,
        storage=require_storage(config.storage),
    )
