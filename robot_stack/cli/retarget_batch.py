"""``robot-stack retarget batch``: many motions over processes; what is done stays done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional

from robot_stack.cli.parsing import Maybe, default_processes, parse
from robot_stack.cli.retarget import SourceArgs, job_of

if TYPE_CHECKING:
    from robot_stack.cli.retarget_job import RetargetJob

ENDINGS = (".npy", ".npz", ".bvh", ".amc")
SUMMARY = "batch.json"
"""In the output folder: a line for every motion."""


@dataclass(frozen=True)
class RetargetBatchArgs(SourceArgs):
    """Retarget every motion below a folder; each gets a folder of its own below OUT.

    A motion whose result is there, made from the same files with the same options, is not made again: after an
    interruption the same command goes on. Motions that fail are listed, and do not stop the others. With --own-scenes
    every motion gets the OBJ and XML files of its own folder as its scene.
    """

    folder: Positional[Path]
    """Searched for .npy, .npz, .bvh and .amc files, also in folders below."""

    robot: str = "g1"
    """A robot's name, or its MJCF."""

    table: Maybe[Path] = None
    """Keypoint table of the robot (JSON), for an MJCF."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(kw_only=True)
    """Folder of the results."""

    own_scenes: str = ""
    """Pattern of scene files beside each motion, e.g. box?.obj."""

    processes: int = field(default_factory=default_processes)
    """How many at once."""

    dataset: Maybe[Path] = None
    """Append every motion to this dataset, in the order of their names, when all are done."""

    tracking: bool = True
    """Replay each result in simulation under PD control, for its report."""


@dataclass(frozen=True)
class _Item:
    job: RetargetJob
    out: str
    name: str


def run(arguments: list[str]) -> int:
    """Retarget them all; exit code 1 when one failed."""
    args = parse(RetargetBatchArgs, arguments, "robot-stack retarget batch")
    from rich.console import Console
    from rich.text import Text

    from robot_stack.core.lock import FolderLock

    console = Console(highlight=False, soft_wrap=True)
    items = _items(args)
    with FolderLock(args.out, what="batch"):
        rows = _all(args, items)
        if args.dataset is not None:
            _append(args.dataset, items, rows)
        _summarise(args, rows)
    failed = [row for row in rows if row.get("error")]
    frames = sum(row.get("frames", 0) for row in rows)
    kept = sum(row.get("accepted_frames", 0) for row in rows)
    console.print(f"{len(rows) - len(failed)} of {len(rows)} motions, {kept} of {frames} frames keep every constraint")
    for row in failed:
        console.print(Text.assemble(("failed", "bold red"), f" {row['name']}: {row['error']}"))
    console.print(f"the list: {(args.out / SUMMARY).resolve()}")
    return 1 if failed else 0


def work(item: _Item) -> dict[str, Any]:
    """One motion; runs in a process of its own. Errors on purpose come back as a line of the list."""
    from robot_stack.cli.retarget_job import run_job
    from robot_stack.core.errors import RobotStackError

    try:
        return _row(item, run_job(item.job, Path(item.out)))
    except RobotStackError as error:
        return {"name": item.name, "error": error.message, "details": str(error)}


def _items(args: RetargetBatchArgs) -> list[_Item]:
    from robot_stack.core.errors import ConfigError

    if not args.folder.is_dir():
        raise ConfigError("a batch needs a folder of motions", got=args.folder)
    out = args.out.resolve()
    files = sorted(
        f
        for f in args.folder.rglob("*")
        if f.suffix.lower() in ENDINGS and f.is_file() and out not in f.resolve().parents
    )
    if not files:
        raise ConfigError("a folder has no motions", where=args.folder, expected=f"files {', '.join(ENDINGS)}")
    names = [str(f.relative_to(args.folder).with_suffix("")) for f in files]
    items = []
    for file, name in zip(files, names, strict=True):
        twin = names.count(name) > 1
        whole = f"{name}_{file.suffix[1:]}" if twin else name
        job = job_of(args, file)
        if args.own_scenes:
            job = replace(job, scene=tuple(str(s.resolve()) for s in sorted(file.parent.glob(args.own_scenes))))
        # The dataset is written afterwards, by one process, in the order of the names.
        items.append(_Item(replace(job, dataset=""), str(args.out / whole.replace(".", "_")), whole))
    return items


def _all(args: RetargetBatchArgs, items: list[_Item]) -> list[dict[str, Any]]:
    from robot_stack.cli.bars import bars
    from robot_stack.cli.retarget_job import is_done
    from robot_stack.runtime.executor import ProcessExecutor, SerialExecutor

    rows: dict[str, dict[str, Any]] = {}
    todo = []
    for item in items:
        if is_done(item.job, Path(item.out)):
            rows[item.name] = _row(item, _report(item))
        else:
            todo.append(item)
    executor = SerialExecutor() if args.processes == 1 else ProcessExecutor(args.processes)
    with bars() as shown:
        bar = shown.add_task("motions", total=len(items), completed=len(rows), note="")
        for outcome in executor.outcomes(work, todo, ordered=False):
            item = todo[outcome.index]
            error = outcome.error
            rows[item.name] = (
                outcome.value or {}
                if error is None
                else {"name": item.name, "error": error.message, "details": outcome.traceback}
            )
            failed = sum(1 for row in rows.values() if row.get("error"))
            shown.update(bar, completed=len(rows), note=f"{failed} failed" if failed else "")
    return [rows[item.name] for item in items]


def _row(item: _Item, report: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": item.name,
        "folder": item.out,
        "frames": report["frames"],
        "accepted_frames": report["accepted_frames"],
        "metrics": report["metrics"],
        "notes": report["notes"],
    }


def _report(item: _Item) -> dict[str, Any]:
    import json

    from robot_stack.cli.retarget_job import REPORT

    return json.loads((Path(item.out) / REPORT).read_text())


def _append(root: Path, items: list[_Item], rows: list[dict[str, Any]]) -> None:
    """Every result as an episode; those that are in the dataset already are not repeated."""
    from robot_stack.cli.retarget_job import MOTION, fingerprint, robot_of
    from robot_stack.datasets.writer import DatasetWriter
    from robot_stack.retarget.episode import episode
    from robot_stack.retarget.reference import tracking_reference
    from robot_stack.retarget.saved import read_result

    writer: DatasetWriter | None = None
    try:
        there: set[str] = set()
        for item, row in zip(items, rows, strict=True):
            if row.get("error"):
                continue
            result = read_result(Path(item.out) / MOTION).result
            spec = robot_of(item.job.robot, item.job.table)[0]
            mark = fingerprint(item.job)
            buffer = episode(
                tracking_reference(result, spec, spec.control_hz),
                spec,
                Path(item.job.motion).stem,
                {"source": item.job.motion, "job": mark, "scale": result.scale, "metrics": result.metrics},
                success=bool(result.accepted().all()),
            )
            if writer is None:
                writer = DatasetWriter(root, buffer.embodiment)
                there = {str(facts.get("job")) for facts in writer.provenance()}
            if mark not in there:
                row["episode"] = writer.write_episode(buffer)
    finally:
        if writer is not None:
            writer.close()


def _summarise(args: RetargetBatchArgs, rows: list[dict[str, Any]]) -> None:
    from robot_stack.core.atomic import write_json

    write_json(args.out / SUMMARY, {"format": 1, "robot": args.robot, "motions": rows})
